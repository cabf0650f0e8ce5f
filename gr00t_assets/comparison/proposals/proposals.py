"""What to run next: for every open question of a class the fewest runs that settle it."""

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
    Proposal,
    ProposedExperiment,
    control_reason,
    control_runs,
    distance,
    mean_loss,
    names_of,
    run_reason,
)
from gr00t_assets.comparison.run import Run, samples_of
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.wording import factor_words, value_words

NOT_ASKED = frozenset({"seed", "samples_seen"})
"""No question of their own: one is noise, the other follows from steps and batch size."""

MOST_REPLICATES = 5
"""Runs of one configuration at most: what five cannot show is too small to be worth more."""

_ENOUGH = 3
"""Runs a side that make a difference within noise an answer, where more would show little more."""

_Planned = dict[tuple[object, ...], list[ProposedExperiment]]
"""The replicates that are proposed already, by configuration."""


class ReplicateCount(NamedTuple):
    """How many runs of either side a contrast needs, those that there are included.

    ``enough`` says whether so many would show the difference that was seen, were it real, and
    ``visible`` is the smallest ratio of the losses that they would, above 1.
    """

    runs: int
    enough: bool
    visible: float


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
    classes: dict[object, dict[str, list[Contrast]]] = defaultdict(lambda: defaultdict(list))
    for factor, contrasts in by_factor.items():
        own = [change for item in contrasts for change in item.changes if change.factor == factor]
        immaterial = bool(own) and not any(change.material for change in own)
        for contrast in () if factor in NOT_ASKED or immaterial else contrasts:
            if contrast.verdict != "not_comparable":
                classes[contrast.low[0].comparable][factor].append(contrast)
    proposed = [
        proposal
        for key, of_class in classes.items()
        for proposal in _of_class(of_class, [run for run in runs if run.comparable == key], speeds)
        if question is None or question in proposal.questions
    ]
    return sorted(proposed, key=lambda item: (-len(item.questions), len(item.experiments)))


def replicates_needed(contrast: Contrast, spread: Spread) -> ReplicateCount:
    """Runs of either side of a clean contrast from the run-to-run spread of its class.

    With ``s`` the standard deviation of one run's log loss, both kinds of noise in it, ``n`` runs a
    side show an effect of ``t(0.975, 2 n - 2) * s * sqrt(2 / n)``. Where no run's noise within is
    known, ``s`` is that between runs alone.
    """
    from scipy.special import stdtrit

    losses = [run.loss for run in (*contrast.low, *contrast.high) if run.loss]
    variances = [spread.variance(log_error(loss) ** 2) for loss in losses]
    known = [variance for variance in variances if math.isfinite(variance)]
    single = math.sqrt(sum(known) / len(known)) if known else spread.between
    effect = abs(math.log(contrast.ratio)) if contrast.ratio else 0.0
    count, visible = 1, math.inf
    while count < MOST_REPLICATES and effect <= visible:
        count += 1
        visible = float(stdtrit(2 * count - 2, 0.975)) * single * math.sqrt(2 / count)
    return ReplicateCount(count, effect > visible, math.exp(visible))


def fresh_seeds(runs: Sequence[Run], count: int) -> list[int]:
    """The lowest seeds from 1 that none of the runs has."""
    taken = {run.settings.get("seed", 42) for run in runs}
    return [seed for seed in range(1, count + len(taken) + 1) if seed not in taken][:count]


def _is_open(contrasts: Sequence[Contrast], spread: Spread) -> bool:
    """Whether no contrast is controlled, or repeated so often that more would not matter."""
    for contrast in contrasts:
        fewest = min(len(contrast.low), len(contrast.high))
        repeated = contrast.verdict != "confounded" and (
            fewest >= MOST_REPLICATES
            or (fewest >= _ENOUGH and not replicates_needed(contrast, spread).enough)
        )
        if contrast.verdict == "controlled" or repeated:
            return False
    return True


def _of_class(
    by_factor: Mapping[str, list[Contrast]], members: Sequence[Run], speeds: Speeds
) -> list[Proposal]:
    spread = spread_of(configurations(members))
    clean: dict[str, list[Contrast]] = {}
    confounded: dict[str, list[Contrast]] = {}
    for factor, contrasts in by_factor.items():
        if _is_open(contrasts, spread):
            clean[factor] = [item for item in contrasts if item.verdict != "confounded"]
            others = [item for item in contrasts if item.verdict == "confounded"]
            fewest = min(map(distance, others), default=0)
            confounded[factor] = [item for item in others if distance(item) == fewest]
    unsettled = [factor for factor, contrasts in clean.items() if not contrasts]
    controls = _controls(unsettled, control_runs(confounded), members, speeds)
    covered = {factor for proposal in controls for factor in proposal.questions}
    planned: _Planned = {}
    replicates = [
        _replicates(factor, contrasts, planned, members, spread, speeds)
        for factor, contrasts in clean.items()
        if contrasts and factor not in covered
    ]
    return controls + [proposal for proposal in replicates if proposal.experiments]


def _controls(
    factors: Sequence[str], possible: list[ControlRun], members: Sequence[Run], speeds: Speeds
) -> list[Proposal]:
    """Greedily the runs that settle most of what is open, until each factor has one."""
    left, controls = list(factors), []
    open_too = {factor for control in possible for factor in control.settles}
    while able := [item for item in possible if not item.settles.keys().isdisjoint(left)]:
        best = max(able, key=lambda item: _worth(item, open_too))
        possible.remove(best)
        equal = equal_run(best.run.settings, members)
        if equal is not None and equal.finished:
            continue
        questions = [factor for factor in left if factor in best.settles]
        questions += [factor for factor in best.settles if factor in open_too - set(left)]
        controls.append(_control(best, tuple(questions), equal, speeds))
        left = [factor for factor in left if factor not in questions]
        open_too -= set(questions)
    return controls


def _worth(control: ControlRun, unsettled: set[str]) -> tuple[float, ...]:
    """Questions first, then contrasts, then the width of the change, then what it costs.

    The width is the widest ratio of a factor's two values, on the log: wide changes stand out of
    noise.
    """
    settles = {name: group for name, group in control.settles.items() if name in unsettled}
    changes = [
        next(item for item in contrast.changes if item.factor == factor)
        for factor, contrasts in control.settles.items()
        for contrast in contrasts
    ]
    return (
        len(settles),
        sum(map(len, settles.values())),
        round(max(change.width or 0.0 for change in changes), 6),
        -(samples_of(control.run.settings) or 0),
        -mean_loss(control.run.reference),
    )


def _control(
    control: ControlRun, questions: tuple[str, ...], equal: Run | None, speeds: Speeds
) -> Proposal:
    contrasts = [item for factor in questions for item in control.settles[factor]]
    runs = tuple(dict.fromkeys(run for contrast in contrasts for run in contrast.runs))
    reason = control_reason(control, questions)
    if equal is not None:
        reason = f"{reason} {equal.name} ({equal.run_id}) is that run and is {equal.status}."
        return Proposal(questions, "continue", reason, (), runs)
    experiment = control.run.told(run_reason(control.run, questions), speeds)
    return Proposal(questions, "control", reason, (experiment,), runs)


def _replicates(
    factor: str,
    contrasts: Sequence[Contrast],
    planned: _Planned,
    members: Sequence[Run],
    spread: Spread,
    speeds: Speeds,
) -> Proposal:
    """The cheapest clean contrast of a factor, repeated; runs that two factors share once."""

    def missing(contrast: Contrast) -> list[tuple[Run, int]]:
        """Runs that either side lacks."""
        wanted = replicates_needed(contrast, spread).runs
        return [
            (side[0], max(0, wanted - len(side) - len(planned.get(_configuration(side[0]), ()))))
            for side in (contrast.low, contrast.high)
        ]

    def price(contrast: Contrast) -> tuple[bool, int, int]:
        runs = missing(contrast)
        return (
            not replicates_needed(contrast, spread).enough,
            sum(count for _, count in runs),
            sum(count * (run.samples_seen or 0) for run, count in runs),
        )

    contrast = min(contrasts, key=price)
    experiments: list[ProposedExperiment] = []
    for run, count in missing(contrast):
        same_planned = planned.setdefault(_configuration(run), [])
        same = [other for other in members if _configuration(other) == _configuration(run)]
        setting = f"{factor_words(factor)} {value_words(factor_value(run, factor))}"
        for seed in fresh_seeds(same, len(same_planned) + count)[len(same_planned) :]:
            reason = f"{run.name} again with seed {seed}: how far runs at {setting} differ."
            same_planned.append(ProposedExperiment(run, {"seed": seed}).told(reason, speeds))
            experiments.append(same_planned[-1])
    wanted = replicates_needed(contrast, spread)
    shows = f"shows a difference of {100 * (wanted.visible - 1):.0f} percent or more"
    reason = (
        f"{names_of(contrast.low)} and {names_of(contrast.high)} differ in {factor_words(factor)} "
        f"alone, and the difference may be noise. {len(experiments)} more runs with other seeds "
        f"make {wanted.runs} of either, "
        f"{'enough to tell the difference that was seen' if wanted.enough else 'which ' + shows}."
    )
    return Proposal((factor,), "replicates", reason, tuple(experiments), contrast.runs)


def _configuration(run: Run) -> tuple[object, ...]:
    return tuple(sorted(material_settings(run).items()))
