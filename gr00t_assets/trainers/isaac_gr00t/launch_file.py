"""The launch file: what the launcher reads, one JSON file, since it cannot import this package.

The launcher (``launcher/launcher.py``) runs under the checkout's Python 3.10, where this package is
not installed. It writes metrics, checkpoints and facts where the file says.
"""

from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import DatasetError, TrainingError
from gr00t_assets.datasets.frames.frame_index import (
    CHECKSUMS,
    FRAMES,
    TIMES,
    cache_folder,
    read_indices,
)
from gr00t_assets.modality.data_config import is_built_in
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.runs.training_data import RunDataset
from gr00t_assets.trainers.isaac_gr00t import n17_launch
from gr00t_assets.trainers.isaac_gr00t.backbone_folder import backbone_folder
from gr00t_assets.trainers.isaac_gr00t.data_config_module import CLASS, write_module
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.script_interface import RELEASE, TRANSFORMERS_DEFAULTS
from gr00t_assets.trainers.run_files import CheckpointRecord, isaac_metadata

FOLDER = "isaac"
"""Folder in the run directory for the files that launcher and driver exchange."""

LAUNCH = "launch.json"
FACTS = "facts.json"
STOP = "stop"

SCRIPT_ARGUMENTS = tuple(
    name for name in IsaacHyperparameters.model_fields if name in RELEASE.defaults
)
"""Hyperparameters that are arguments of the script, under the same names."""

TRAINING_ARGUMENTS = tuple(
    name
    for name in IsaacHyperparameters.model_fields
    if name not in RELEASE.defaults and name in TRANSFORMERS_DEFAULTS and name != "save_total_limit"
)
"""Hyperparameters that the script hard-codes, or leaves to transformers' ``TrainingArguments``."""


def make_launch(
    spec: TrainingSpec,
    environment: IsaacEnvironment,
    base_model: Path,
    latest: CheckpointRecord | None,
) -> dict[str, Any]:
    """What the launcher needs to train from ``latest`` on, or from an absolute ``base_model``.

    Paths are absolute, and no secret is in it.

    Raises:
        DatasetError: The dataset or its frame cache is not there.
        TrainingError: The experiment's settings and this trainer do not go together.
    """
    directory, settings = spec.run_directory, IsaacHyperparameters.of(spec.experiment)
    facts, folder = environment.generation, directory / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    from_cache = settings.frame_source == "cache"
    parts = n17_launch.launch_parts if facts.name == "n1.7" else _n15_parts
    own = parts(spec, environment, base_model, folder)
    return {
        "format": 1,
        "checkout": str(environment.checkout),
        "script": str(environment.script),
        "launcher": facts.launcher,
        "parts": {part: list(names) for part, names in facts.parts.items()},
        # What replaces the script's own keyword arguments of TrainingArguments.
        "training_arguments": {
            "run_name": spec.experiment.name,
            "disable_tqdm": True,
            **{name: getattr(settings, name) for name in TRAINING_ARGUMENTS},
        },
        "config_hash": spec.config_hash,
        "resume_step": latest.step if latest else 0,
        # Training time of earlier attempts up to that step.
        "wall_seconds": latest.wall_seconds if latest else 0.0,
        "dataset_frames": spec.data.epoch_samples(spec.experiment),
        "metrics": str(directory / METRICS),
        "facts": str(folder / FACTS),
        "stop_file": str(folder / STOP),
        # By folder, as the script is told it; without frames it reads the videos.
        "datasets": {
            str(dataset.directory): {
                "held_out_episodes": dataset.config.held_out_episodes,
                "frames": cached_frames(spec.experiment.name, dataset) if from_cache else None,
            }
            for dataset in spec.datasets
        },
        **own,
    }


def _n15_parts(
    spec: TrainingSpec, environment: IsaacEnvironment, base_model: Path, folder: Path
) -> dict[str, Any]:
    """What the launch file has for N1.5 alone."""
    config = spec.modality_config
    own = None if is_built_in(config.data_config) else write_module(config, folder)
    backbone = backbone_folder(base_model, environment.checkout, folder / "backbone")
    return {
        "arguments": script_arguments(spec, base_model, spec.run_directory / CHECKPOINTS),
        "metadata": isaac_metadata(*(dataset.config for dataset in spec.datasets)),
        # What replaces the checkout's eagle2_hg_model, and the data config that it does not have.
        "backbone": None if backbone is None else str(backbone),
        "data_config_module": None if own is None else str(own),
        "data_config_class": CLASS,
    }


def script_arguments(spec: TrainingSpec, base_model: Path, output: Path) -> dict[str, Any]:
    """Fields of the script's ``ArgsConfig``, which takes a relative base model for a Hub id."""
    settings = IsaacHyperparameters.of(spec.experiment)
    return {
        "dataset_path": [str(dataset.directory) for dataset in spec.datasets],
        "output_dir": str(output),
        "data_config": spec.modality_config.data_config,
        "embodiment_tag": spec.modality_config.embodiment_tag,
        "base_model_path": str(base_model),
        **{name: getattr(settings, name) for name in SCRIPT_ARGUMENTS},
    }


def cached_frames(experiment: str, dataset: RunDataset) -> dict[str, dict[str, Any]]:
    """The frame cache of a dataset by camera key of modality.json, as the launcher maps it.

    Of each the files of frames, timestamps and checksums, and first row and number of rows by
    episode.

    Raises:
        DatasetError: A camera's frames are missing or damaged.
        TrainingError: They were cached at another size than the video's, which Isaac-GR00T's
            transforms refuse.
    """
    config = dataset.config
    if config.frame_size is not None:
        width, height = config.frame_size
        raise TrainingError(
            experiment,
            "isaac-gr00t takes frames at their own size only.",
            [
                f"data/datasets.yaml caches those of {config.dataset} at {width} x {height}",
                "take frame_size out there and materialise the dataset, or train with native",
            ],
        )
    folder = cache_folder(dataset.frame_cache)
    indices, frames, missing = read_indices(folder), {}, []
    for camera in config.video:
        index = indices.get(camera.original_key)
        if index is None:
            missing.append(camera.original_key)
            continue
        place = folder / camera.original_key
        checksums = place / CHECKSUMS
        frames[camera.key] = {
            "frames": str(place / FRAMES),
            "timestamps": str(place / TIMES),
            "checksums": str(checksums) if checksums.is_file() else None,
            "spans": {span.episode: (span.first_row, span.frames) for span in index.plan.spans},
        }
    if missing:
        raise DatasetError(
            config.dataset,
            "its frame cache lacks cameras, or is damaged.",
            [
                f"missing: {', '.join(missing)}",
                "run: dagster asset materialize -m gr00t_assets.definitions "
                f"--select frame_cache --partition {config.dataset}",
            ],
        )
    return frames
