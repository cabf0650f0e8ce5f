"""Repeating a clean pair whose difference cannot be told from noise."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.factors import factor_value, material_settings
from gr00t_assets.comparison.contrasts.noise import Spread, log_error
from gr00t_assets.comparison.proposals.control_runs import names_of
from gr00t_assets.comparison.proposals.proposal import Origin, Proposal, ProposedExperiment
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
