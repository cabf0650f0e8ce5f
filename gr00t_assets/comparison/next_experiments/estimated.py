"""Hours of proposals whose own runs have no speed, from runs of the store that resemble them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gr00t_assets.comparison.estimates import Speeds
from gr00t_assets.comparison.next_experiments.origins import Origin
from gr00t_assets.comparison.next_experiments.proposal import Proposal, ProposedExperiment
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters


def estimated(
    proposed: Sequence[Proposal], experiments: Mapping[str, Experiment], speeds: Speeds
) -> list[Proposal]:
    """The proposals, those experiments without hours given those of the store's nearest run.

    Args:
        proposed: What :func:`proposals` gave.
        experiments: Of runs of the store, by run id.
        speeds: The speeds of the store's finished runs.
    """
    return [
        replace(
            item, experiments=tuple(_known(one, experiments, speeds) for one in item.experiments)
        )
        for item in proposed
    ]


def _known(
    one: ProposedExperiment, experiments: Mapping[str, Experiment], speeds: Speeds
) -> ProposedExperiment:
    if one.hours is not None:
        return one
    fields = Hyperparameters.model_fields
    settings = Hyperparameters.model_validate(
        {name: value for name, value in one.settings.items() if name in fields}
    )
    origin = Origin.of(one.reference, experiments)
    estimate = speeds.estimate(
        Experiment(
            name="proposed",
            sweep="proposed",
            dataset=origin.dataset,
            trainer=origin.trainer,
            base_model=origin.base_model,
            hyperparameters=settings,
        )
    )
    if estimate is None:
        return one
    return replace(one, hours=estimate.hours(settings.max_steps * settings.samples_per_step))
