"""What the launcher of N1.7 is told: flags, statistics, modality config, towers and tokenizer.

So is a person who trains by hand with NVIDIA's script of N1.7.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import BaseModelError, TrainingError
from gr00t_assets.core.files import published_directory, write_bytes, write_json
from gr00t_assets.modality.python_config import python_text
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.base_model_files import download, load_config
from gr00t_assets.trainers.isaac_gr00t.data_config_module import module_name
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.script_interface import TRANSFORMERS_DEFAULTS, flag
from gr00t_assets.trainers.n17.architecture import N17Config
from gr00t_assets.trainers.n17.processor_configs import files_of
from gr00t_assets.trainers.n17.processor_files import ProcessorFiles

BACKBONE = "backbone"
"""Folder inside a base model with tokenizer and processor, where those are not NVIDIA's."""

COSMOS = "nvidia/Cosmos-Reason2-2B"
"""What NVIDIA's code takes tokenizer, chat template and processor from; gated on the Hub."""

_PROCESSOR_FILES = ["*.json", "*.txt", "*.jinja"]

_PLAIN = (
    "max_steps", "save_steps", "learning_rate", "gradient_accumulation_steps", "num_gpus",
    "weight_decay", "warmup_ratio", "dataloader_num_workers",
    "tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model",
)  # fmt: skip
"""Hyperparameters that are arguments of the script, under the same names."""

_OF_BASE = (
    "use_percentiles", "apply_sincos_state_encoding", "clip_outliers", "formalize_language",
    "edge", "crop_scale", "use_albumentations", "exclude_state", "max_state_dim", "max_action_dim",
)  # fmt: skip
"""Settings of the base model's processor that the script keeps."""

_FIXED = {"lr_scheduler_type": "cosine", "logging_steps": 10}
"""What the script hard-codes in place of transformers' defaults, as does 42 for the seed."""


def script_arguments(
    spec: TrainingSpec, folder: Path, base_model: Path, datasets: Sequence[str], output: str
) -> dict[str, Any]:
    """Fields of the script's ``FinetuneConfig``; its batch is that of all GPUs together.

    ``folder`` is where the platform writes the modality config when it trains.

    Raises:
        TrainingError: A dataset's folder has a colon, which stands between folders.
    """
    settings, config = IsaacHyperparameters.of(spec.experiment), spec.modality_config
    if with_colon := [dataset for dataset in datasets if ":" in dataset]:
        problem = "launch_finetune.py takes a colon for the end of a folder's name."
        remedy = "move the store to a folder without one: GR00T_ASSETS_STORE"
        raise TrainingError(spec.experiment.name, problem, [*with_colon, remedy])
    return {
        "base_model_path": str(base_model),
        "dataset_path": ":".join(datasets),
        "embodiment_tag": config.embodiment_tag,
        "modality_config_path": str(folder / f"{module_name(config.data_config)}.py"),
        "output_dir": output,
        "global_batch_size": settings.batch_size * settings.num_gpus,
        "color_jitter_params": config.color_jitter.model_dump(),
        "use_wandb": False,
        **{name: getattr(settings, name) for name in _PLAIN},
    }


def n17_flags(
    spec: TrainingSpec, folder: Path, datasets: Sequence[str], output: str
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """Flags of the command by hand, and in sentences what the script does otherwise.

    Raises:
        TrainingError: As ``script_arguments``.
    """
    settings = IsaacHyperparameters.of(spec.experiment)
    base_model = Path(spec.experiment.base_model).expanduser()
    arguments = script_arguments(spec, folder, base_model, datasets, output)
    arguments["save_total_limit"] = settings.save_total_limit
    file = Path(arguments["modality_config_path"])
    notes = [
        "frames: the platform takes them from the frame cache; the script decodes whole shards.",
        f"modality_config_path: the platform writes {file.name} when it trains.",
        f"tokenizer: the script needs a token of the Hub for {COSMOS}.",
        "resume: the script draws other samples after a resume; the platform goes on with its own.",
    ]
    for name, usual in {**TRANSFORMERS_DEFAULTS, **_FIXED}.items():
        value = getattr(settings, name)
        if value != usual and name not in arguments:
            notes.append(f"{name} {value}: the script cannot be told and takes {usual}.")
    return tuple(flag(name, value) for name, value in arguments.items()), tuple(notes)


def launch_parts(
    spec: TrainingSpec, environment: IsaacEnvironment, base_model: Path, folder: Path
) -> dict[str, Any]:
    """What the launch file has for N1.7 alone; writes what it names into ``folder``.

    Raises:
        BaseModelError: The base model is no N1.7, or tokenizer and processor cannot be had.
        CheckpointError: The base model has no processor.
        TrainingError: The base model's processor would not carry out the data config; or as
            ``script_arguments``.
    """
    config, tag = spec.modality_config, spec.modality_config.embodiment_tag
    model = load_config(base_model / "config.json")
    if not isinstance(model, N17Config):
        problem = "isaac-gr00t trains this model with N1.5's script, and the data is of N1.7."
        remedy = "take nvidia/GR00T-N1.7-3B, or a data config of generation n1.5"
        raise BaseModelError(str(base_model), problem, [remedy])
    files = files_of([dataset.config for dataset in spec.datasets], model)
    # The script takes these from the base model's processor, whatever it is told.
    asked, own = files.settings, ProcessorFiles.read(base_model).settings
    wrong = [
        f"{name}: {getattr(asked, name)} is asked for, the processor has {getattr(own, name)}"
        for name in _OF_BASE
        if getattr(asked, name) != getattr(own, name)
    ]
    if wrong:
        problem = f"the base model's processor does not fit data config {config.data_config}."
        remedy = "change the data config, or train with native"
        raise TrainingError(spec.experiment.name, problem, [*wrong, remedy])
    modalities = {
        name: settings.model_dump(mode="json")
        for name, settings in files.settings.modality_configs[tag].items()
    }
    folders = [str(dataset.directory) for dataset in spec.datasets]
    shares = dict(zip(folders, spec.data.shares(spec.experiment), strict=True))
    output = str(spec.run_directory / CHECKPOINTS)
    arguments = script_arguments(spec, folder, base_model, folders, output)
    module = python_text(config.data_config, tag, modalities)
    write_bytes(Path(arguments["modality_config_path"]), module.encode())
    arguments["state_dropout_prob"] = model.state_dropout_prob
    return {
        "arguments": arguments,
        "flags": [word for name, value in arguments.items() for word in flag(name, value)],
        "tag": tag,
        "embodiment_id": config.embodiment_id,
        "backbone": str(_make_backbone(model, base_model, folder / BACKBONE)),
        "statistics": files.statistics[tag],
        "shares": shares,
    }


def _make_backbone(config: N17Config, base_model: Path, target: Path) -> Path:
    """Make the folder that towers, tokenizer and processor are made from.

    The sizes are the base model's, with as many layers of the text tower as it keeps. The rest are
    the files of the folder ``backbone`` in the base model, or those that NVIDIA's code takes from
    the Hub.
    """
    own = base_model / BACKBONE
    source = own if own.is_dir() else download(COSMOS, None, _PROCESSOR_FILES)
    towers = config.qwen3_vl_config.model_dump(mode="json", exclude={"tokenizer"})
    towers["text_config"]["num_hidden_layers"] = config.select_layer
    with published_directory(target, replace=True) as partial:
        for pattern in _PROCESSOR_FILES:
            for path in source.glob(pattern):
                shutil.copyfile(path, partial / path.name)
        content = {"model_type": "qwen3_vl", "tie_word_embeddings": True, **towers}
        write_json(partial / "config.json", content)
    return target
