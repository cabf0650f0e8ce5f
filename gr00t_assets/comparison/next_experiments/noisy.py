"""Repeating a clean pair whose difference cannot be told from noise."""

from collections.abc import Mapping, Sequence

from gr00t_assets.comparison.contrasts.configurations import material_settings
from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.noise import Spread
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.next_experiments.cost import expected_hours
from gr00t_assets.comparison.next_experiments.proposal import Proposal, ProposedExperiment
from gr00t_assets.comparison.next_experiments.replicates import fresh_seeds, needed
from gr00t_assets.comparison.next_experiments.words import factor_words, replicate_reason, value_of

_Planned = dict[tuple[object, ...], list[ProposedExperiment]]


def replicated(
    noisy: Mapping[str, Sequence[Contrast]], members: Sequence[Observation], spread: Spread
) -> list[Proposal]:
    """For every factor the cheapest of its clean contrasts, repeated; runs that two share once.

    Args:
        noisy: By factor the contrasts without a confounder.
        members: The runs of the class.
        spread: Between runs of one configuration of the class.
    """
    planned: _Planned = {}
    made = []
    for factor, contrasts in noisy.items():
        contrast = min(contrasts, key=lambda item: _price(item, planned, spread))
        proposal = _repeat(factor, contrast, planned, members, spread)
        if proposal.experiments:
            made.append(proposal)
    return made


def _price(contrast: Contrast, planned: _Planned, spread: Spread) -> tuple[bool, int, int]:
    wanted = needed(contrast, spread)
    missing = [
        max(0, wanted.each - len(side) - len(planned.get(_configuration(side[0]), ())))
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
    members: Sequence[Observation],
    spread: Spread,
) -> Proposal:
    wanted = needed(contrast, spread)
    experiments: list[ProposedExperiment] = []
    for side in (contrast.low, contrast.high):
        ours = planned.setdefault(_configuration(side[0]), [])
        same = [run for run in members if _configuration(run) == _configuration(side[0])]
        count = max(0, wanted.each - len(side) - len(ours))
        words = f"{factor_words(factor)} {value_of(side[0], factor)}"
        for seed in fresh_seeds(same, len(ours) + count)[len(ours) :]:
            hours = expected_hours(side[0].settings, side[0], members)
            reason = f"{side[0].name} again with seed {seed}: how far runs at {words} lie apart."
            ours.append(ProposedExperiment(side[0], {"seed": seed}, reason, hours))
            experiments.append(ours[-1])
    reason = replicate_reason(factor, contrast, wanted, len(experiments))
    return Proposal((factor,), "replicates", reason, tuple(experiments), contrast.runs)


def _configuration(run: Observation) -> tuple[object, ...]:
    return tuple(sorted(material_settings(run).items(), key=_name))


def _name(setting: tuple[str, object]) -> str:
    return setting[0]
