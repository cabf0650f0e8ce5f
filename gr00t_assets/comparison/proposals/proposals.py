"""What to run next: for every open question of a class the fewest runs that settle it."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.contrasts import all_contrasts
from gr00t_assets.comparison.contrasts.factors import configurations
from gr00t_assets.comparison.contrasts.noise import Spread, spread_of
from gr00t_assets.comparison.differences import equal_run
from gr00t_assets.comparison.proposals.control_runs import (
    ControlRun,
    control_reason,
    control_runs,
    distance,
    mean_loss,
    run_reason,
)
from gr00t_assets.comparison.proposals.proposal import Origin, Proposal, ProposedExperiment
from gr00t_assets.comparison.proposals.replicates import (
    MOST_REPLICATES,
    replicate_proposals,
    replicates_needed,
)
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.speed import Speeds

NOT_ASKED = frozenset({"seed", "samples_seen"})
"""No question of their own: one is noise, the other follows from steps and batch size."""

_ENOUGH = 3
"""Runs a side that make a difference within noise an answer, where more would show little more."""


def proposals(
    runs: Sequence[Run],
    question: str | None = None,
    by_factor: Mapping[str, Sequence[Contrast]] | None = None,
    speeds: Speeds | None = None,
) -> list[Proposal]:
    """For every open question the fewest experiments that settle it.

    A question is open where no contrast of its factor is controlled. Where every contrast is
    confounded, one run is proposed that differs from a finished one in that factor only; a run
    that settles two questions goes before one that settles one. Where a contrast is clean and
    noisy, its runs are repeated with other seeds. A run that exists is never proposed: where it is
    not finished yet it is to be continued.

    Args:
        runs: Of any number of classes; only finished ones are built upon.
        question: A factor; every open question where left out.
        by_factor: The contrasts of these runs, where they are at hand.
        speeds: What tells the hours; the speeds of these runs where left out.

    Returns:
        Those that settle most questions first.
    """
    by_factor = all_contrasts(list(runs)) if by_factor is None else by_factor
    speeds = Speeds.of_runs(runs) if speeds is None else speeds
    classes: dict[tuple[object, ...], dict[str, list[Contrast]]] = defaultdict(dict)
    for factor, contrasts in by_factor.items():
        if factor in NOT_ASKED or factor_is_immaterial(factor, contrasts):
            continue
        for contrast in contrasts:
            if contrast.verdict != "not_comparable":
                key = contrast.low[0].comparable
                classes[key].setdefault(factor, []).append(contrast)
    proposed: list[Proposal] = []
    for key, of_class in classes.items():
        members = [run for run in runs if run.comparable == key]
        proposed += _of_class(of_class, members, speeds)
    if question is not None:
        proposed = [proposal for proposal in proposed if question in proposal.questions]
    return sorted(proposed, key=lambda item: (-len(item.questions), len(item.experiments)))


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
    return fewest >= MOST_REPLICATES or (
        fewest >= _ENOUGH and not replicates_needed(contrast, spread).enough
    )


def _of_class(
    by_factor: Mapping[str, list[Contrast]], members: Sequence[Run], speeds: Speeds
) -> list[Proposal]:
    spread = spread_of(configurations(members))
    unsettled = {
        factor: contrasts for factor, contrasts in by_factor.items() if is_open(contrasts, spread)
    }
    clean = {
        factor: [contrast for contrast in contrasts if contrast.verdict != "confounded"]
        for factor, contrasts in unsettled.items()
    }
    confounded = {factor: _nearest(contrasts) for factor, contrasts in unsettled.items()}
    controls = _controls(
        [factor for factor in unsettled if not clean[factor]],
        control_runs(confounded),
        members,
        speeds,
    )
    covered = {factor for proposal in controls for factor in proposal.questions}
    noisy = {
        factor: contrasts
        for factor, contrasts in clean.items()
        if contrasts and factor not in covered
    }
    return controls + replicate_proposals(noisy, members, spread, speeds)


def _nearest(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """The confounded contrasts with the fewest factors to undo."""
    confounded = [contrast for contrast in contrasts if contrast.verdict == "confounded"]
    fewest = min((distance(contrast) for contrast in confounded), default=0)
    return [contrast for contrast in confounded if distance(contrast) == fewest]


def _controls(
    factors: Sequence[str], possible: list[ControlRun], members: Sequence[Run], speeds: Speeds
) -> list[Proposal]:
    """Greedily the runs that settle most of what is open, until each factor has one."""
    left, controls = list(factors), []
    open_too = {factor for control in possible for factor in control.settles}
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
        controls.append(_control(best, tuple(questions), equal, speeds))
        left = [factor for factor in left if factor not in questions]
        open_too -= set(questions)
    return controls


def _worth(control: ControlRun, unsettled: set[str]) -> tuple[float, ...]:
    """Questions first, then contrasts, then the width of the change, then what it costs."""
    settles = {name: group for name, group in control.settles.items() if name in unsettled}
    return (
        len(settles),
        sum(len(group) for group in settles.values()),
        round(_width(control), 6),
        -control.samples,
        -mean_loss(control.reference),
    )


def _width(control: ControlRun) -> float:
    """The widest ratio of a factor's two values, on the log: wide changes stand out of noise."""
    widths = [0.0]
    for factor, contrasts in control.settles.items():
        for contrast in contrasts:
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
    control: ControlRun,
    questions: tuple[str, ...],
    equal: Run | None,
    speeds: Speeds,
) -> Proposal:
    contrasts = [item for factor in questions for item in control.settles[factor]]
    runs = tuple(dict.fromkeys(run for contrast in contrasts for run in contrast.runs))
    reason = control_reason(control, questions)
    if equal is not None:
        reason = f"{reason} {equal.name} ({equal.run_id}) is that run and is {equal.status}."
        return Proposal(questions, "continue", reason, (), runs)
    origin = Origin.of(control.reference)
    hours = speeds.hours(origin.trainer, origin.base_model, control.settings)
    experiment = ProposedExperiment(
        control.reference, control.changes, run_reason(control, questions), hours
    )
    return Proposal(questions, "control", reason, (experiment,), runs)
