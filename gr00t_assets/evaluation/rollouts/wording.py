"""Rollouts in words and tables, for a terminal and for the page."""

from collections import Counter
from collections.abc import Sequence

from gr00t_assets.evaluation.rollouts.result import (
    BASELINES,
    EpisodeOutcome,
    Rollouts,
    mean_score,
    steps_to_success,
    success_rate,
)

RATE_HEAD = ("who", "success", "percent", "Wilson", "Clopper-Pearson", "score", "steps")
"""Steps are the median of those to success."""

OUTCOME_HEAD = ("seed", "end", "score", "steps", "seconds", "note")


def rollouts_sentence(rollouts: Rollouts) -> str:
    """Success of the policy beside that of the best rule without a model."""
    text = f"success in {rollouts.environment}: {rollouts.rate.words()}"
    if rollouts.best_baseline is not None:
        name, rate = rollouts.best_baseline
        text += f"; the best rule without a model, {name}: {rate.words()}"
    return text


def rate_rows(rollouts: Rollouts) -> list[list[str]]:
    """Successes of the policy and of the rules without a model, with 95 percent intervals."""
    rows = []
    for who, outcomes in {"policy": rollouts.policy, **rollouts.baselines}.items():
        rate, score = success_rate(outcomes), mean_score(outcomes)
        steps = steps_to_success(outcomes)
        intervals = [
            f"{100 * low:.1f} to {100 * high:.1f}"
            for low, high in (rate.wilson(), rate.clopper_pearson())
        ]
        done = f"{rate.successes:,} of {rate.episodes:,}"
        means = ["" if score is None else f"{score:.3f}", "" if steps is None else f"{steps:g}"]
        rows.append([who, done, f"{100 * rate.rate:.1f}", *intervals, *means])
    return rows


def baseline_sentences(rollouts: Rollouts) -> list[str]:
    """What each rule without a model does."""
    return [f"{name}: {BASELINES[name]}" for name in rollouts.baselines]


def endings_sentence(rollouts: Rollouts) -> str:
    """How the policy's episodes ended, most frequent first."""
    counts = Counter(outcome.end for outcome in rollouts.policy)
    words = {"horizon": f"out of steps ({max(item.steps for item in rollouts.policy)})"}
    return ", ".join(f"{count} {words.get(end, end)}" for end, count in counts.most_common())


def failure_sentences(rollouts: Rollouts) -> list[str]:
    """What kept episodes from being played to their end, each once, with the seeds."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for outcome in rollouts.policy:
        if outcome.note:
            seeds.setdefault((outcome.end, outcome.note), []).append(outcome.seed)
    return [
        f"{end} at {'seed' if len(at) == 1 else 'seeds'} "
        f"{', '.join(map(str, at[:5]))}{' ...' if len(at) > 5 else ''}: {note}"
        for (end, note), at in seeds.items()
    ]


def seconds_sentence(rollouts: Rollouts) -> str:
    """Where the time of the policy's episodes went, in seconds an episode."""
    count = max(1, len(rollouts.policy))
    parts = (f"{name} {value / count:.3f}" for name, value in rollouts.seconds_by_part.items())
    return f"seconds an episode: {', '.join(parts)}; all took {rollouts.wall_seconds:g} s"


def outcome_rows(outcomes: Sequence[EpisodeOutcome]) -> list[list[str]]:
    """The outcome of each episode."""
    return [
        [
            *(str(item.seed), item.end, "" if item.score is None else f"{item.score:.3f}"),
            *(str(item.steps), f"{item.seconds:.2f}", item.note.partition("\n")[0]),
        ]
        for item in outcomes
    ]
