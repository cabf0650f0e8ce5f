"""The launch file: what the launcher reads, one JSON file, since it cannot import this package.

The launcher (``launcher/launcher.py``) runs under the checkout's Python 3.10, where this package is
not installed. It writes metrics, checkpoints and facts where the file says.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from gr00t_assets.core.errors import DatasetError, TrainingError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.datasets.frames.frame_index import FRAMES, TIMES, cache_folder, read_indices
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.runs.training_data import RunDataset
from gr00t_assets.trainers.isaac_gr00t.backbone_folder import backbone_folder
from gr00t_assets.trainers.isaac_gr00t.data_config_limits import horizon_problem, refuse_data_config
from gr00t_assets.trainers.isaac_gr00t.data_config_module import CLASS, write_module
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.script_interface import RELEASE, TRANSFORMERS_DEFAULTS
from gr00t_assets.trainers.n15.data_config_limits import is_built_in
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


class CameraFrames(FrozenModel):
    """The frame cache of one camera, as ``numpy.load`` maps it."""

    frames: str = Field(description="frames.npy: (rows, height, width, 3) uint8 RGB")
    timestamps: str = Field(description="timestamps.npy: (rows,) float64, seconds in the episode")
    spans: dict[int, tuple[int, int]] = Field(
        description="First row and number of rows of each episode"
    )


class LaunchDataset(FrozenModel):
    """What the launcher reads of one dataset."""

    held_out_episodes: tuple[int, ...] = ()
    frames: dict[str, CameraFrames] | None = Field(
        description="By camera key of modality.json; None reads the videos"
    )


class Launch(FrozenModel):
    """Everything that the launcher needs; paths are absolute, and no secret is in it."""

    format: Literal[1] = 1
    checkout: str = Field(description="Put first on sys.path")
    script: str = Field(description="Imported by this path")
    arguments: dict[str, Any] = Field(description="Fields of the script's ArgsConfig")
    training_arguments: dict[str, Any] = Field(
        description="What replaces the script's own keyword arguments of TrainingArguments"
    )
    config_hash: str = Field(description="Written into each checkpoint's complete.json")
    resume_step: int = Field(description="Step of the checkpoint to resume from; 0 for none")
    wall_seconds: float = Field(description="Training time of earlier attempts up to that step")
    dataset_frames: int = Field(description="Samples of an epoch")
    metrics: str = Field(description="metrics.jsonl, appended to")
    facts: str = Field(description="Where facts about model and device are written, as JSON")
    stop_file: str = Field(description="When it exists: write a checkpoint, then end")
    metadata: dict[str, Any] = Field(
        description="Validated metadata of the data for its embodiment tag, as isaac_metadata"
    )
    datasets: dict[str, LaunchDataset] = Field(description="By folder, as the script is told it")
    backbone: str | None = Field(
        default=None, description="Folder that replaces the checkout's eagle2_hg_model"
    )
    data_config_module: str | None = Field(
        default=None, description="Python file of a data config that the checkout does not have"
    )
    data_config_class: str = Field(default=CLASS, description="Its class in that file")


class Facts(FrozenModel):
    """What the launcher writes about model and machine, when training starts and when it ends."""

    parameters: int
    trainable_parameters: dict[str, int] = Field(description="By part, as the native model names")
    device: str = Field(description="cpu, or the GPU's name")
    device_uuid: str | None = None
    gpus: int = Field(description="GPUs used; 0 on a CPU")
    versions: dict[str, str]
    peak_memory_bytes: int = 0


def make_launch(
    spec: TrainingSpec,
    environment: IsaacEnvironment,
    base_model: Path,
    latest: CheckpointRecord | None,
) -> Launch:
    """What the launcher needs to train from ``latest`` on, or from an absolute ``base_model``.

    Raises:
        DatasetError: The dataset or its frame cache is not there.
        TrainingError: The experiment's settings and this trainer do not go together.
    """
    directory, settings = spec.run_directory, IsaacHyperparameters.of(spec.experiment)
    _refuse_other_cameras(spec)
    if settings.frame_source == "video":
        _refuse_images_in_rows(spec)
    refuse_data_config(spec)
    _refuse_other_horizon(spec, environment, base_model)
    folder = directory / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    config = spec.modality_config
    own = None if is_built_in(config.data_config) else write_module(config, folder)
    backbone = backbone_folder(base_model, environment.checkout, folder / "backbone")
    from_cache = settings.frame_source == "cache"
    return Launch(
        checkout=str(environment.checkout),
        script=str(environment.script),
        arguments=script_arguments(spec, base_model, directory / CHECKPOINTS),
        training_arguments={
            "run_name": spec.experiment.name,
            "disable_tqdm": True,
            **{name: getattr(settings, name) for name in TRAINING_ARGUMENTS},
        },
        config_hash=spec.config_hash,
        resume_step=latest.step if latest else 0,
        wall_seconds=latest.wall_seconds if latest else 0.0,
        dataset_frames=spec.data.epoch_samples(spec.experiment),
        metrics=str(directory / METRICS),
        facts=str(folder / FACTS),
        stop_file=str(folder / STOP),
        metadata=isaac_metadata(*(dataset.config for dataset in spec.datasets)),
        datasets={
            str(dataset.directory): LaunchDataset(
                held_out_episodes=dataset.config.held_out_episodes,
                frames=cached_frames(spec.experiment.name, dataset) if from_cache else None,
            )
            for dataset in spec.datasets
        },
        backbone=str(backbone) if backbone is not None else None,
        data_config_module=str(own) if own is not None else None,
    )


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


def _refuse_other_horizon(
    spec: TrainingSpec, environment: IsaacEnvironment, base_model: Path
) -> None:
    """Refuse chunks of another shape than the base model's where the script cannot train them.

    Raises:
        TrainingError: June's script would stop at the first batch.
    """
    try:
        grows = "data_action_horizon" in environment.script.read_text()
        head = json.loads((base_model / "config.json").read_text()).get("action_head_cfg", {})
    except (OSError, ValueError):  # told where they are needed
        return
    if problem := horizon_problem(spec.modality_config, grows, head):
        lines = [problem, "check out a commit that grows the action head: a86e915"]
        text = "Isaac-GR00T at this commit takes chunks of the base model's shape only."
        raise TrainingError(spec.experiment.name, text, lines)


def _refuse_other_cameras(spec: TrainingSpec) -> None:
    """Refuse a mixture of other images: the script crops those of all as those of the first.

    Raises:
        TrainingError: The cameras of its datasets differ in pixels or frame rate.
    """
    cameras = {
        dataset.name: {(key.key, key.width, key.height, key.fps) for key in dataset.config.video}
        for dataset in spec.datasets
    }
    first, *others = cameras
    if unlike := [name for name in others if cameras[name] != cameras[first]]:
        raise TrainingError(
            spec.experiment.name,
            "isaac-gr00t cannot train on these datasets together.",
            [
                f"{', '.join(unlike)}: cameras of other pixels or another frame rate than {first}",
                "train with native, which can",
            ],
        )


def _refuse_images_in_rows(spec: TrainingSpec) -> None:
    """Refuse cameras without videos where the script is to read videos.

    Raises:
        DatasetError: A dataset is not there.
        TrainingError: A camera is images in the rows.
    """
    cameras = []
    for dataset in spec.datasets:
        videos = LeRobotDataset.open(dataset.directory, dataset.name).video_cameras
        columns = [key.original_key for key in dataset.config.video]
        cameras += [f"{dataset.name}: {name}" for name in columns if name not in videos]
    if cameras:
        text = "frame_source video reads videos, and these cameras are images in the rows."
        remedy = "take frame_source: video out of the sweep file: the frame cache has the images"
        raise TrainingError(spec.experiment.name, text, [*cameras, remedy])


def cached_frames(experiment: str, dataset: RunDataset) -> dict[str, CameraFrames]:
    """The frame cache of a dataset by camera key, as the launcher maps it.

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
        frames[camera.key] = CameraFrames(
            frames=str(folder / camera.original_key / FRAMES),
            timestamps=str(folder / camera.original_key / TIMES),
            spans={span.episode: (span.first_row, span.frames) for span in index.plan.spans},
        )
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
