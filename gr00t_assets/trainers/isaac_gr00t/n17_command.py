"""The shell command with which a person trains an experiment by NVIDIA's script of N1.7."""

from pathlib import Path

from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.data_config_module import module_name
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.n17_launch import COSMOS, script_arguments
from gr00t_assets.trainers.isaac_gr00t.script_interface import TRANSFORMERS_DEFAULTS, flag

_FIXED = {"lr_scheduler_type": "cosine", "logging_steps": 10}
"""What the script hard-codes in place of transformers' defaults, as does 42 for the seed."""


def n17_flags(
    spec: TrainingSpec, folder: Path, datasets: tuple[str, ...], output: str
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """Flags of the command, and in sentences what the script does otherwise than this platform.

    ``folder`` is where the platform writes the modality config when it trains.
    """
    settings, config = IsaacHyperparameters.of(spec.experiment), spec.modality_config
    file = folder / f"{module_name(config.data_config)}.py"
    arguments = script_arguments(spec, spec.experiment.base_model, Path(output), file)
    arguments |= {"dataset_path": ":".join(datasets), "save_total_limit": settings.save_total_limit}
    flags = [
        (f"--{name.replace('_', '-')}", *map(str, sum(value.items(), ())))
        if isinstance(value, dict)
        else flag(name, value)
        for name, value in arguments.items()
    ]
    notes = [
        "frames: the platform takes them from the frame cache; the script decodes whole shards.",
        f"modality_config_path: the platform writes {file.name} when it trains.",
        f"tokenizer: the script needs a token of the Hub for {COSMOS}.",
        "resume: the script draws other samples after a resume; the platform goes on with its own.",
    ]
    if any(dataset.config.held_out_episodes for dataset in spec.datasets):
        notes.append("held_out: the platform keeps episodes from training; the script does not.")
    for name, usual in {**TRANSFORMERS_DEFAULTS, **_FIXED}.items():
        value = getattr(settings, name)
        if value != usual and name not in arguments:
            notes.append(f"{name} {value}: the script cannot be told and takes {usual}.")
    return tuple(flags), tuple(notes)
