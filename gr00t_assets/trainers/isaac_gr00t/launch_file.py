"""The launch file: what the launcher reads, one JSON file, since it cannot import this package.

The launcher (``launcher/launcher.py``) runs under the checkout's Python 3.10, where this package is
not installed. It writes metrics, checkpoints and facts where the file says. What is for N1.5 alone
is here too; what is for N1.7 is in ``n17_launch``.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gr00t_assets.core.errors import BaseModelError, DatasetError, TrainingError
from gr00t_assets.core.files import published_directory
from gr00t_assets.core.project import materialize_command
from gr00t_assets.datasets.frames import frame_index
from gr00t_assets.modality.data_config import is_built_in
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.runs.training_data import RunDataset
from gr00t_assets.trainers.base_model_files import load_config
from gr00t_assets.trainers.isaac_gr00t import n17_launch
from gr00t_assets.trainers.isaac_gr00t.data_config_module import CLASS, write_module
from gr00t_assets.trainers.isaac_gr00t.environment import BACKBONE, IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.limits import refuse_other_shape
from gr00t_assets.trainers.isaac_gr00t.script_interface import RELEASE, TRANSFORMERS_DEFAULTS
from gr00t_assets.trainers.n15 import architecture as n15
from gr00t_assets.trainers.run_files import CheckpointRecord, isaac_metadata

FOLDER = "isaac"  # folder in the run directory for the files that launcher and driver exchange

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
    """What the launcher needs to train from ``latest`` on, or from a base model's folder.

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
    own = parts(spec, environment, base_model.absolute(), folder)
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
        # Of earlier attempts, up to that step.
        "samples_seen": latest.samples_seen if latest else 0,
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
    refuse_other_shape(spec, environment, base_model)
    config = spec.modality_config
    own = None if is_built_in(config.data_config) else write_module(config, folder)
    backbone = backbone_folder(base_model, environment.checkout, folder / "backbone")
    return {
        "arguments": script_arguments(spec, base_model, spec.run_directory / CHECKPOINTS),
        "metadata": isaac_metadata(*(dataset.config for dataset in spec.datasets)),
        # What replaces the checkout's eagle2_hg_model, and the data config that it does not have.
        "backbone": backbone and str(backbone),
        "data_config_module": own and str(own),
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
        problem = "isaac-gr00t takes frames at their own size only."
        size = f"data/datasets.yaml caches those of {config.dataset} at {width} x {height}"
        remedy = "take frame_size out there and materialise the dataset, or train with native"
        raise TrainingError(experiment, problem, [size, remedy])
    folder = frame_index.cache_folder(dataset.frame_cache)
    indices = {name: index for name, index in frame_index.read_indices(folder).items() if index}
    columns = [camera.original_key for camera in config.video]
    if missing := [column for column in columns if column not in indices]:
        problem, lost = "its frame cache lacks cameras, or is damaged.", ", ".join(missing)
        remedy = f"run: {materialize_command('frame_cache', config.dataset)}"
        raise DatasetError(config.dataset, problem, [f"missing: {lost}", remedy])
    frames = {}
    for camera in config.video:
        place, spans = folder / camera.original_key, indices[camera.original_key].plan.spans
        checksums = place / frame_index.CHECKSUMS
        frames[camera.key] = {
            "frames": str(place / frame_index.FRAMES),
            "timestamps": str(place / frame_index.TIMES),
            "checksums": str(checksums) if checksums.is_file() else None,
            "spans": {span.episode: (span.first_row, span.frames) for span in spans},
        }
    return frames


def backbone_folder(base_model_directory: Path, checkout: Path, target: Path) -> Path | None:
    """Make the backbone folder of a base model whose towers are not those of the checkout.

    Isaac-GR00T of N1.5 takes the towers' sizes, tokenizer and processor from ``eagle2_hg_model`` in
    its own checkout, not from the base model. One with other towers, stated under ``towers`` in its
    ``config.json``, needs a folder of its own in place of it.

    ``target``, which replaces an existing folder, is returned, or ``None`` where the checkout's own
    fits, as with NVIDIA's release.

    Raises:
        BaseModelError: The base model is no N1.5, or has another tokenizer than Eagle's.
        TrainingError: The checkout has no backbone folder.
    """
    source = checkout / BACKBONE
    config = _read(source / "config.json")
    model = load_config(base_model_directory / "config.json")
    if not isinstance(model, n15.ModelConfig):
        problem = "isaac-gr00t cannot train this model: its script is that of N1.5."
        raise BaseModelError(str(base_model_directory), problem, ["take trainer: native"])
    towers = model.towers
    if towers.tokenizer != "eagle":
        problem = "isaac-gr00t cannot train this model: its prompts are tokens of single bytes."
        remedy = "it takes models with Eagle's tokenizer (towers.tokenizer: eagle)"
        raise BaseModelError(str(base_model_directory), problem, [remedy])
    if towers == _towers_of(config, source):
        return None
    with published_directory(target, replace=True) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)
        for name, content in _resized_files(source, config, towers).items():
            (partial / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    return target


def _resized_files(
    source: Path, config: dict[str, Any], towers: n15.TowersConfig
) -> dict[str, Any]:
    vision = towers.vision_config
    tokens = (vision.image_size // vision.patch_size) ** 2
    # One tile of the towers' own size, so that an image of another size is resized, not cut.
    tile = {"height": vision.image_size, "width": vision.image_size}
    preprocessor, processor = (
        _read(source / f"{name}_config.json") | {"tokens_per_tile": tokens}
        for name in ("preprocessor", "processor")
    )
    return {
        "config.json": config
        | {
            "image_token_index": towers.image_token_index,
            "force_image_size": vision.image_size,
            "vision_config": config["vision_config"] | vision.model_dump(),
            "text_config": config["text_config"] | towers.text_config.model_dump(),
        },
        "preprocessor_config.json": preprocessor | {"size": tile, "max_dynamic_tiles": 1},
        "processor_config.json": processor,
    }


def _towers_of(config: dict[str, Any], source: Path) -> n15.TowersConfig:
    plain = ("image_token_index", "mlp_connector_layers", "use_pixel_shuffle")
    try:
        towers = {key: config[key] for key in plain}
        towers["eagle_select_layer"] = config["select_layer"]
        for key, model in (("vision_config", n15.VisionConfig), ("text_config", n15.TextConfig)):
            fields = config[key].items()
            towers[key] = {name: value for name, value in fields if name in model.model_fields}
        return n15.TowersConfig.model_validate(towers)
    except (KeyError, ValidationError) as error:
        problem = "its config.json is not that of N1.5's Eagle model."
        raise TrainingError(str(source), problem, [str(error)]) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = "this file of Isaac-GR00T is missing or broken."
        remedy = "is this a checkout of the N1.5 line? gr00t-assets isaac doctor says"
        raise TrainingError(str(path), problem, [remedy]) from error
