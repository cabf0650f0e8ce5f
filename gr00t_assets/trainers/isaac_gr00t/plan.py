"""From a spec to what the launcher is told."""

from pathlib import Path

from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.experiment_cfg import isaac_metadata
from gr00t_assets.trainers.isaac_gr00t.arguments import script_arguments, training_arguments
from gr00t_assets.trainers.isaac_gr00t.checkpoints import IsaacCheckpoint
from gr00t_assets.trainers.isaac_gr00t.eagle import eagle_folder
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.frames import cached_frames
from gr00t_assets.trainers.isaac_gr00t.launch import Launch

FOLDER = "isaac"
"""Folder in the run directory for what launcher and driver tell each other."""

LAUNCH = "launch.json"
FACTS = "facts.json"
STOP = "stop"


def make_launch(
    spec: TrainingSpec,
    environment: IsaacEnvironment,
    base_model: Path,
    latest: IsaacCheckpoint | None,
) -> Launch:
    """Everything that the launcher needs.

    Args:
        spec: What was asked.
        environment: The checkout that trains.
        base_model: Folder of the base model, absolute.
        latest: The checkpoint to go on from, if any.

    Raises:
        DatasetError: The dataset or its frame cache is not there.
        TrainingError: The experiment's settings and this trainer do not go together.
    """
    directory, settings = spec.run_directory, spec.experiment.hyperparameters
    folder = directory / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    eagle = eagle_folder(base_model, environment.checkout, folder / "eagle")
    return Launch(
        checkout=str(environment.checkout),
        script=str(environment.script),
        arguments=script_arguments(spec, base_model, directory / CHECKPOINTS),
        training_arguments=training_arguments(spec),
        save_total_limit=settings.save_total_limit,
        config_hash=spec.config_hash,
        resume_step=latest.step if latest else 0,
        wall_seconds=latest.wall_seconds if latest else 0.0,
        samples_per_step=settings.samples_per_step,
        dataset_frames=_samples(spec),
        metrics=str(directory / METRICS),
        facts=str(folder / FACTS),
        stop_file=str(folder / STOP),
        metadata=isaac_metadata(spec.modality_config),
        held_out_episodes=spec.modality_config.held_out_episodes,
        frames=cached_frames(spec) if settings.frame_source == "cache" else None,
        eagle=str(eagle) if eagle is not None else None,
    )


def _samples(spec: TrainingSpec) -> int:
    """Rows of the episodes that are trained on."""
    config = spec.modality_config
    dataset = LeRobotDataset.open(spec.dataset_directory, config.dataset)
    held_out = set(config.held_out_episodes)
    return sum(item.length for item in dataset.episodes if item.index not in held_out)
