"""What to run next: for every open question of a class the fewest runs that settle it."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from gr00t_assets.comparison.contrasts.configurations import configurations
from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.noise import Spread, spread_of
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.next_experiments.candidates import Candidate, candidates, distance
from gr00t_assets.comparison.next_experiments.cost import expected_hours
from gr00t_assets.comparison.next_experiments.equal_run import equal_run
from gr00t_assets.comparison.next_experiments.noisy import replicated
from gr00t_assets.comparison.next_experiments.proposal import Proposal, ProposedExperiment
from gr00t_assets.comparison.next_experiments.replicates import MOST, needed
from gr00t_assets.comparison.next_experiments.words import control_reason, run_reason

NOT_ASKED = frozenset({"seed", "samples_seen"})
"""No question of their own: one is noise, the other follows from steps and batch size."""

_ENOUGH = 3
"""Runs a side that make a difference within noise an answer, where more would show little more."""


def proposals(
    observations: Sequence[Observation],
    question: str | None = None,
    found: Mapping[str, Sequence[Contrast]] | None = None,
) -> list[Proposal]:
    """For every open question the fewest experiments that settle it.

    A question is open where no contrast of its factor is controlled. Where every contrast is
    confounded, one run is proposed that differs from a finished one in that factor only; a run
    that settles two questions goes before one that settles one. Where a contrast is clean and
    noisy, its runs are repeated with other seeds. A run that exists is never proposed: where it is
    not finished yet it is to be continued.

    Args:
        observations: The runs, of any number of classes; only finished ones are built upon.
        question: A factor; every open question where left out.
        found: The contrasts of these runs, where they were made before.

    Returns:
        Those that settle most questions first.
    """
    from gr00t_assets.comparison.contrasts.contrasts import all_contrasts

    found = all_contrasts(list(observations)) if found is None else found
    classes: dict[tuple[object, ...], dict[str, list[Contrast]]] = defaultdict(dict)
    for factor, contrasts in found.items():
        if factor in NOT_ASKED or factor_is_immaterial(factor, contrasts):
            continue
        for contrast in contrasts:
            if contrast.verdict != "not_comparable":
                key = contrast.low[0].comparable
                classes[key].setdefault(factor, []).append(contrast)
    made: list[Proposal] = []
    for key, by_factor in classes.items():
        members = [run for run in observations if run.comparable == key]
        made += _of_class(by_factor, members)
    if question is not None:
        made = [proposal for proposal in made if question in proposal.questions]
    return sorted(made, key=lambda item: (-len(item.questions), len(item.experiments)))


def factor_is_immaterial(factor: str, contrasts: Sequence[Contrast]) -> bool:
    """Whether a factor cannot change what is learned, by what its contrasts say."""
    own = [change for item in contrasts for change in item.changes if change.factor == factor]
    return bool(own) and not any(change.material for change in own)


def is_open(contrasts: Sequence[Contrast], spread: Spread) -> bool:
    """Whether no contrast of a factor is an answer yet."""
    return not any(_answers(contrast, spread) for contrast in contrasts)


def _answers(contrast: Contrast, spread: Spread) -> bool:
    """Controlled, or repeated so often that what is left to be seen is too small to matter."""
    if contrast.verdict == "controlled":
        return True
    if contrast.verdict == "confounded":
        return False
    fewest = min(len(contrast.low), len(contrast.high))
    return fewest >= MOST or (fewest >= _ENOUGH and not needed(contrast, spread).enough)


def _of_class(
    by_factor: Mapping[str, list[Contrast]], members: Sequence[Observation]
) -> list[Proposal]:
    spread = spread_of(configurations(members))
    unsettled = {factor: found for factor, found in by_factor.items() if is_open(found, spread)}
    clean = {
        factor: [contrast for contrast in found if contrast.verdict != "confounded"]
        for factor, found in unsettled.items()
    }
    confounded = {factor: _nearest(found) for factor, found in unsettled.items()}
    made = _controls(
        [factor for factor in unsettled if not clean[factor]],
        candidates(confounded),
        members,
    )
    covered = {factor for proposal in made for factor in proposal.questions}
    noisy = {factor: found for factor, found in clean.items() if found and factor not in covered}
    return made + replicated(noisy, members, spread)


def _nearest(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """The confounded contrasts with the fewest factors to undo."""
    found = [contrast for contrast in contrasts if contrast.verdict == "confounded"]
    fewest = min((distance(contrast) for contrast in found), default=0)
    return [contrast for contrast in found if distance(contrast) == fewest]


def _controls(
    factors: Sequence[str], possible: list[Candidate], members: Sequence[Observation]
) -> list[Proposal]:
    """Greedily the runs that settle most of what is open, until each factor has one."""
    left, made = list(factors), []
    open_too = {factor for candidate in possible for factor in candidate.settles}
    while left:
        able = [item for item in possible if any(factor in item.settles for factor in left)]
        if not able:
            break
        best = max(able, key=lambda item: _worth(item, open_too))
        possible.remove(best)
        equal = equal_run(best.settings, members)
        if equal is not None and equal.finished:
            continue
        questions = [factor for factor in left if factor in best.settles]
        questions += [factor for factor in best.settles if factor in open_too - set(left)]
        made.append(_control(best, tuple(questions), equal, members))
        left = [factor for factor in left if factor not in questions]
        open_too -= set(questions)
    return made


def _worth(candidate: Candidate, unsettled: set[str]) -> tuple[float, ...]:
    """Questions first, then contrasts, then the width of the change, then what it costs."""
    settles = {name: found for name, found in candidate.settles.items() if name in unsettled}
    return (
        len(settles),
        sum(len(found) for found in settles.values()),
        round(_width(candidate), 6),
        -candidate.samples,
        -_loss(candidate.reference),
    )


def _width(candidate: Candidate) -> float:
    """The widest ratio of a factor's two values, on the log: wide changes stand out of noise."""
    widths = [0.0]
    for factor, found in candidate.settles.items():
        for contrast in found:
            change = next(item for item in contrast.changes if item.factor == factor)
            ends = [
                float(end)
                for end in (change.low, change.high)
                if isinstance(end, int | float) and not isinstance(end, bool)
            ]
            if len(ends) == 2 and min(ends) > 0:
                widths.append(math.log(max(ends) / min(ends)))
    return max(widths)


def _control(
    candidate: Candidate,
    questions: tuple[str, ...],
    equal: Observation | None,
    members: Sequence[Observation],
) -> Proposal:
    contrasts = [item for factor in questions for item in candidate.settles[factor]]
    runs = tuple(dict.fromkeys(run for contrast in contrasts for run in contrast.runs))
    reason = control_reason(candidate, questions)
    if equal is not None:
        reason = f"{reason} {equal.name} ({equal.run_id}) is that run and is {equal.status}."
        return Proposal(questions, "continue", reason, (), runs)
    hours = expected_hours(candidate.settings, candidate.reference, members)
    experiment = ProposedExperiment(
        candidate.reference, candidate.changes, run_reason(candidate, questions), hours
    )
    return Proposal(questions, "control", reason, (experiment,), runs)


def _loss(run: Observation) -> float:
    return run.loss.mean if run.loss else math.inf
