"""``rollouts/ENVIRONMENT.json`` of a run: what a policy did in closed loop, episode by episode.

Rules without a model act in the same episodes, so that every comparison is paired by seed. The
second half puts it into sentences and rows, for a terminal and for the page.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from pydantic import Field

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.files import FrozenModel, json_hash, write_bytes
from gr00t_assets.datasets.catalog import project_entries
from gr00t_assets.environments.environment_file import Environment, load_environments
from gr00t_assets.evaluation.intervals import SuccessRate
from gr00t_assets.runs.spec import TrainingSpec

ROLLOUTS = "rollouts"  # Folder of a run directory

BaselineName = Literal["hold", "mean action", "replay", "random"]

BASELINES: dict[BaselineName, str] = {
    "hold": "asks for the joints that it had at the start, for the whole episode",
    "mean action": "asks for the mean of the recorded actions at every step",
    "replay": "replays the actions of a demonstration that is drawn at random",
    "random": "draws every action evenly from the range of the recorded ones",
}
"""The rules without a model, in words."""

_REPLAN = 4  # Actions that are done of a chunk where nobody says how many

Ending = Literal["success", "horizon", "terminated", "time limit", "error", "bad action"]
PartSeconds = dict[Literal["render", "policy", "physics"], float]


class EpisodeOutcome(FrozenModel):
    """How one episode went."""

    seed: int
    success: bool
    score: float | None = Field(default=None, description="Highest of the episode, 0 to 1")
    steps: int = Field(description="Taken until it ended")
    seconds: float = Field(description="Of the environment alone, without the policy")
    end: Ending
    note: str = Field(default="", description="What went wrong, where something did")


class RolloutSettings(FrozenModel):
    """What decides the outcomes, beside the model and the environment."""

    episodes: int = Field(ge=1)
    first_seed: int = Field(default=1000, ge=0, description="The others follow it")
    replan_every: int = Field(default=8, ge=1, description="Actions done of each chunk")
    ensemble: float | None = Field(default=None, ge=0, description="Weight of older chunks, if any")
    policy_seed: int = Field(default=0, ge=0, description="Of the noise that denoising starts from")
    denoising_steps: int | None = Field(default=None, ge=1, description="None: the model's own")


class Rollouts(FrozenModel):
    """All episodes of one set of weights in one environment, and those of the baselines."""

    format: Literal[1] = Field(default=1, description="Version of this file's layout")
    experiment: str = Field(description="That the policy was trained as")
    config_hash: str
    model_hash: str = Field(description="First 16 hex digits of a SHA-256 over the weights")
    step: int | None = Field(description="Of the checkpoint; none: the run's final weights")
    trainer: str
    environment: str = Field(description="Name in data/environments.yaml, or built in")
    environment_hash: str = Field(description="Of its declaration")
    package_version: str | None = Field(default=None, description="Of the environment's package")
    settings: RolloutSettings
    policy: tuple[EpisodeOutcome, ...]
    baselines: dict[BaselineName, tuple[EpisodeOutcome, ...]]
    videos: tuple[str, ...] = Field(default=(), description="Paths below the run directory")
    device: str
    wall_seconds: float
    rolled_at: str = Field(description="ISO 8601, UTC")
    seconds_by_part: PartSeconds = Field(
        default={}, description="Of the policy's episodes together"
    )

    @property
    def rate(self) -> SuccessRate:
        """The policy's."""
        return success_rate(self.policy)

    def baseline_rate(self, name: BaselineName) -> SuccessRate:
        """That of a rule without a model, on the same seeds."""
        return success_rate(self.baselines[name])

    @property
    def best_baseline(self) -> tuple[BaselineName, SuccessRate] | None:
        """The rule that succeeds most often, of equals the first; none where none was rolled."""
        best = max(self.baselines, key=lambda name: self.baseline_rate(name).rate, default=None)
        return None if best is None else (best, self.baseline_rate(best))

    @property
    def mean_score(self) -> float | None:
        """Mean of the policy's scores; none where the environment has no score."""
        return mean_score(self.policy)

    @property
    def steps_to_success(self) -> float | None:
        """Median steps of the episodes that succeeded."""
        return steps_to_success(self.policy)

    def content_hash(self) -> str:
        """First 16 hex digits of a SHA-256 over what was found, without times."""
        seconds: Any = {"__all__": {"seconds"}}
        times: Any = dict.fromkeys(("wall_seconds", "rolled_at", "seconds_by_part"), True)
        times |= {"policy": seconds, "baselines": dict.fromkeys(self.baselines, seconds)}
        return json_hash(self.model_dump(mode="json", exclude=times), 16)


def declared_environment(spec: TrainingSpec, name: str | None = None) -> Environment | None:
    """The environment of a name, or of the first dataset that has one; None where none has.

    Raises:
        SimulationError: There is no environment of that name, or its declaration is wrong.
        CatalogError: The catalog has a fault where it would name one.
    """
    if name is None:
        entries = project_entries(dataset.name for dataset in spec.datasets)
        name = next((entry.environment for entry in entries if entry and entry.environment), None)
    return None if name is None else load_environments().get(name)


def settings_for(
    environment: Environment,
    spec: TrainingSpec,
    episodes: int | None = None,
    replan_every: int | None = None,
    ensemble: float | None = None,
) -> RolloutSettings:
    """As the environment declares them, where nothing else is asked for, or ``EvaluationError``."""
    horizon = len(spec.datasets[0].config.action_indices)
    replan_every = replan_every or environment.replan_every or min(_REPLAN, horizon)
    if replan_every > horizon:
        problem = f"a chunk of its actions has {horizon}, so not {replan_every} can be done of it."
        raise EvaluationError(spec.experiment.name, problem, [f"replan after 1 to {horizon}"])
    return RolloutSettings(
        episodes=episodes or environment.episodes,
        first_seed=environment.seeds,
        replan_every=replan_every,
        ensemble=ensemble,
    )


def success_rate(outcomes: Sequence[EpisodeOutcome]) -> SuccessRate:
    """How many of some episodes succeeded."""
    successes = sum(outcome.success for outcome in outcomes)
    return SuccessRate(successes=successes, episodes=len(outcomes))


def mean_score(outcomes: Sequence[EpisodeOutcome]) -> float | None:
    """Mean score of some episodes, where they have one."""
    scores = [outcome.score for outcome in outcomes if outcome.score is not None]
    return fmean(scores) if scores else None


def steps_to_success(outcomes: Sequence[EpisodeOutcome]) -> float | None:
    """Median steps of the episodes that succeeded."""
    steps = [outcome.steps for outcome in outcomes if outcome.success]
    return float(median(steps)) if steps else None


def rollouts_file(run_directory: Path, environment: str, step: int | None = None) -> Path:
    """Where the rollouts of a run's final weights, or of a checkpoint, are kept."""
    name = environment if step is None else f"{environment}@{step}"
    return run_directory / ROLLOUTS / f"{name}.json"


def save_rollouts(rollouts: Rollouts, run_directory: Path) -> None:
    """Write rollouts in one step; earlier ones in the same environment go into ``earlier/``."""
    content = sealed(json.loads(rollouts.model_dump_json()))
    path = rollouts_file(run_directory, rollouts.environment, rollouts.step)
    asked = ("model_hash", "environment_hash", "package_version", "settings")
    with suppress(EvaluationError):
        earlier = read_rollouts(path) if path.is_file() else rollouts
        if any(getattr(earlier, name) != getattr(rollouts, name) for name in asked):
            time = re.sub(r"\W", "", earlier.rolled_at[:19])
            write_bytes(path.parent / "earlier" / f"{path.stem}-{time}.json", path.read_bytes())
    write_bytes(path, (json.dumps(content, ensure_ascii=False) + "\n").encode())


def load_rollouts(run_directory: Path) -> list[Rollouts]:
    """The rollouts of a run's final weights; ``EvaluationError`` where a file holds none."""
    files = sorted((run_directory / ROLLOUTS).glob("[!.]*.json"))
    return [read_rollouts(path) for path in files if "@" not in path.name]


def read_rollouts(path: Path) -> Rollouts:
    """Rollouts from their file; ``EvaluationError`` where it holds none."""

    def refuse(why: str) -> EvaluationError:
        problem = "these are no rollouts of format 1, or not as they were written."
        remedy = "move it away and run `gr00t-assets rollout` again"
        return EvaluationError(str(path), problem, [why.splitlines()[0], remedy])

    return load_sealed(path, Rollouts, refuse)


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
