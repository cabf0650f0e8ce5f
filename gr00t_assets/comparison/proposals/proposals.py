"""Repeating a clean pair whose difference cannot be told from noise."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.contrasts import all_contrasts
from gr00t_assets.comparison.contrasts.factors import (
    configurations,
    factor_value,
    material_settings,
)
from gr00t_assets.comparison.contrasts.noise import Spread, log_error, spread_of
from gr00t_assets.comparison.differences import equal_run
from gr00t_assets.comparison.proposals.control_runs import (
    ControlRun,
    Origin,
    Proposal,
    ProposedExperiment,
    control_reason,
    control_runs,
    distance,
    mean_loss,
    names_of,
    run_reason,
)
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.wording import factor_words, value_words

MOST_REPLICATES = 5
"""Runs of one configuration at most: what five cannot show is too small to be worth more."""


class ReplicateCount(NamedTuple):
    """How many runs a contrast needs.

    Attributes:
        runs: Runs of either configuration, those that there are included.
        enough: Whether so many would show the difference that was seen, were it real.
        visible: Smallest ratio of the losses that so many would show, above 1.
    """

    runs: int
    enough: bool
    visible: float


def replicates_needed(contrast: Contrast, spread: Spread) -> ReplicateCount:
    """Runs of either side from the run-to-run spread and the effect, on the log of the loss.

    With ``s`` the standard deviation of one run, both kinds of noise in it, ``n`` runs a side show
    an effect of ``t(0.975, 2 n - 2) * s * sqrt(2 / n)``.

    Args:
        contrast: A clean one.
        spread: Between runs of one configuration in this class, measured or assumed.
    """
    single = _deviation(contrast, spread)
    effect = abs(math.log(contrast.ratio)) if contrast.ratio else 0.0
    for count in range(2, MOST_REPLICATES + 1):
        if effect > _visible(single, count):
            return ReplicateCount(count, True, math.exp(_visible(single, count)))
    return ReplicateCount(MOST_REPLICATES, False, math.exp(_visible(single, MOST_REPLICATES)))


def fresh_seeds(runs: Sequence[Run], count: int) -> list[int]:
    """The lowest seeds from 1 that none of the runs has."""
    taken = {run.settings.get("seed", 42) for run in runs}
    seeds = (seed for seed in range(1, count + len(taken) + 1) if seed not in taken)
    return [next(seeds) for _ in range(count)]


def _visible(single: float, count: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(2 * count - 2, 0.975)) * single * math.sqrt(2 / count)


def _deviation(contrast: Contrast, spread: Spread) -> float:
    """Standard deviation of the log loss of one run, over both sides.

    Where no run's noise within is known, that between runs alone.
    """
    losses = [run.loss for run in (*contrast.low, *contrast.high) if run.loss]
    variances = [spread.variance(log_error(loss) ** 2) for loss in losses]
    known = [variance for variance in variances if math.isfinite(variance)]
    return math.sqrt(sum(known) / len(known)) if known else spread.between


_Planned = dict[tuple[object, ...], list[ProposedExperiment]]


def replicate_proposals(
    noisy: Mapping[str, Sequence[Contrast]], members: Sequence[Run], spread: Spread, speeds: Speeds
) -> list[Proposal]:
    """For every factor the cheapest of its clean contrasts, repeated; runs that two share once.

    Args:
        noisy: By factor the contrasts without a confounder.
        members: The runs of the class.
        spread: Between runs of one configuration of the class.
        speeds: Of the runs that tell what it costs.
    """
    planned: _Planned = {}
    proposals = []
    for factor, contrasts in noisy.items():
        contrast = min(contrasts, key=lambda item: _price(item, planned, spread))
        proposal = _repeat(factor, contrast, planned, members, spread, speeds)
        if proposal.experiments:
            proposals.append(proposal)
    return proposals


def _price(contrast: Contrast, planned: _Planned, spread: Spread) -> tuple[bool, int, int]:
    wanted = replicates_needed(contrast, spread)
    missing = [
        max(0, wanted.runs - len(side) - len(planned.get(_configuration(side[0]), ())))
        for side in (contrast.low, contrast.high)
    ]
    samples = sum(
        count * (side[0].samples_seen or 0)
        for count, side in zip(missing, (contrast.low, contrast.high), strict=True)
    )
    return not wanted.enough, sum(missing), samples


def _repeat(
    factor: str,
    contrast: Contrast,
    planned: _Planned,
    members: Sequence[Run],
    spread: Spread,
    speeds: Speeds,
) -> Proposal:
    wanted = replicates_needed(contrast, spread)
    experiments: list[ProposedExperiment] = []
    for side in (contrast.low, contrast.high):
        planned_here = planned.setdefault(_configuration(side[0]), [])
        same = [run for run in members if _configuration(run) == _configuration(side[0])]
        count = max(0, wanted.runs - len(side) - len(planned_here))
        setting = f"{factor_words(factor)} {value_words(factor_value(side[0], factor))}"
        for seed in fresh_seeds(same, len(planned_here) + count)[len(planned_here) :]:
            origin = Origin.of(side[0])
            hours = speeds.hours(origin.trainer, origin.base_model, side[0].settings)
            reason = f"{side[0].name} again with seed {seed}: how far runs at {setting} differ."
            planned_here.append(ProposedExperiment(side[0], {"seed": seed}, reason, hours))
            experiments.append(planned_here[-1])
    reason = _reason(factor, contrast, wanted, len(experiments))
    return Proposal((factor,), "replicates", reason, tuple(experiments), contrast.runs)


def _configuration(run: Run) -> tuple[object, ...]:
    return tuple(sorted(material_settings(run).items()))


def _reason(factor: str, contrast: Contrast, wanted: ReplicateCount, count: int) -> str:
    """Why a pair is repeated, and what so many repetitions can show."""
    asked = factor_words(factor)
    text = (
        f"{names_of(contrast.low)} and {names_of(contrast.high)} differ in {asked} alone, and the "
        f"difference may be noise. {count} more runs with other seeds make {wanted.runs} of either"
    )
    percent = 100 * (wanted.visible - 1)
    if wanted.enough:
        return f"{text}, enough to tell the difference that was seen."
    return f"{text}, which shows a difference of {percent:.0f} percent or more."


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
