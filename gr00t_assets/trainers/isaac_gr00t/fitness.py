"""Whether a machine's Isaac-GR00T is fit to train an experiment, asked before a GPU is taken."""

from pathlib import Path

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.doctor.doctor import examine, wants_gpu
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment


def refuse_unfit(environment: IsaacEnvironment, spec: TrainingSpec) -> None:
    """Refuse to train where the doctor finds an error.

    Raises:
        TrainingError: Every error, with what to do.
    """
    experiment = spec.experiment
    findings = examine(
        environment,
        gpu=wants_gpu(),
        store=Store(Path(spec.store)),
        base_model=experiment.base_model,
    )
    if not findings.ok:
        raise TrainingError(
            experiment.name,
            "Isaac-GR00T on this machine is not fit to train it.",
            [*findings.lines(), "the whole list: gr00t-assets isaac doctor"],
        )
