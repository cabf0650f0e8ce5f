"""Which runs other experiments go on from: ``continue_from`` in the sweep files."""

from collections.abc import Iterable

from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.spec import TrainingSpec


def continued_by(experiments: Iterable[Experiment], spec: TrainingSpec) -> list[str]:
    """Names of the experiments that start from the last checkpoint of a run.

    Args:
        experiments: Of all sweep files.
        spec: Of the run.
    """
    modality = spec.modality_config
    hashed = modality.dataset_version, modality.content_hash()
    named = []
    for experiment in experiments:
        source = experiment.continued()
        if source is None or source.name != spec.experiment.name:
            continue
        if source.config_hash(*hashed) == spec.config_hash:
            named.append(experiment.name)
    return named
