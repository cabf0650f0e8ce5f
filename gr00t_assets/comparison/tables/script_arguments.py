"""The arguments of ``gr00t_finetune.py`` as they were given, which W&B keeps of a run."""

from collections.abc import Sequence
from pathlib import PurePosixPath

SCRIPT = "gr00t_finetune.py"

DEFAULTS: dict[str, object] = {
    "data_config": "fourier_gr1_arms_only",
    "base_model_path": "nvidia/GR00T-N1.5-3B",
    "embodiment_tag": "new_embodiment",
    "num_gpus": 1,
    "tune_llm": False,
    "tune_visual": False,
    "tune_projector": True,
    "tune_diffusion_model": True,
    "lora_rank": 0,
    "lora_alpha": 16,
    "lora_dropout": 0.1,
    "lora_full_model": False,
    "balance_dataset_weights": True,
    "balance_trajectory_weights": True,
}
"""Of the N1.5 script in every release of 2025, so that an argument that was not given has these.
``video_backend`` is not among them: June's default is decord and October's torchcodec."""

_BOOLEAN = {name for name, value in DEFAULTS.items() if isinstance(value, bool)}


def script_arguments(arguments: Sequence[str]) -> dict[str, object]:
    """What was asked of the script: the arguments given, and the defaults of the others.

    Args:
        arguments: As the process got them, in tyro's form.

    Returns:
        Values by the script's names: numbers and truth values where the default is one, else text.

    Example:
        >>> asked = script_arguments(["--dataset-path", "demo_data/x", "--no-tune-projector"])
        >>> asked["dataset_path"], asked["tune_projector"], asked["num_gpus"]
        ('demo_data/x', False, 1)
    """
    asked: dict[str, object] = dict(DEFAULTS)
    words = [part for word in arguments for part in _split(word)]
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if not word.startswith("--"):
            continue
        name = word[2:].replace("-", "_")
        if name in _BOOLEAN:
            asked[name] = True
        elif name.startswith("no_") and name[3:] in _BOOLEAN:
            asked[name[3:]] = False
        elif place < len(words):
            asked[name] = _value(name, words[place])
            place += 1
    return asked


def dataset_name(path: object) -> str:
    """The dataset's name: the last part of its path.

    Example:
        >>> dataset_name("./demo_data/so101-table-cleanup/")
        'so101-table-cleanup'
    """
    return PurePosixPath(str(path)).name


def _split(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [name, value] if equals and word.startswith("--") else [word]


def _value(name: str, text: str) -> object:
    kind = type(DEFAULTS.get(name, ""))
    try:
        return kind(text) if kind in (int, float) else text
    except ValueError:
        return text
