"""The shell command with which a person trains an experiment by NVIDIA's script, by hand."""

import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.trainers.base_model_files import looks_like_path
from gr00t_assets.trainers.isaac_gr00t.arguments import SCRIPT_ARGUMENTS, TRAINING_ARGUMENTS
from gr00t_assets.trainers.isaac_gr00t.command.script_interface import ScriptInterface
from gr00t_assets.trainers.isaac_gr00t.doctor.commits import TORCHVISION_AV

_ORDER = (
    "dataset_path",
    "output_dir",
    "base_model_path",
    "data_config",
    "embodiment_tag",
    "video_backend",
    "num_gpus",
    "batch_size",
    "gradient_accumulation_steps",
    "max_steps",
    "learning_rate",
    "save_steps",
    "report_to",
    "tune_llm",
    "tune_visual",
    "tune_projector",
    "tune_diffusion_model",
    "lora_rank",
    "lora_alpha",
    "lora_dropout",
    "lora_full_model",
    "warmup_ratio",
    "weight_decay",
    "dataloader_num_workers",
    "balance_dataset_weights",
    "balance_trajectory_weights",
)
"""Arguments in the order of the journal's commands."""

_ALWAYS = ("dataset_path", "output_dir", "data_config")
"""What every command says, since without it one cannot tell what it trains on and where to."""

_SETTINGS = (*SCRIPT_ARGUMENTS, *TRAINING_ARGUMENTS, "save_total_limit")
_WIDTH = 98


@dataclass(frozen=True)
class Paths:
    """What the command names, each as it is to be printed."""

    python: str
    script: str
    dataset: str
    output: str


@dataclass(frozen=True)
class ShellCommand:
    """A command, and what it does otherwise than the platform.

    Attributes:
        program: Python and script.
        flags: Each flag with its value, if it has one, in order.
        notes: One sentence for each thing that the script does otherwise.
    """

    program: tuple[str, ...]
    flags: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def text(self, one_line: bool = False) -> str:
        """The command quoted for a shell, below its notes as comments."""
        lines = [
            line
            for note in self.notes
            for line in textwrap.wrap(
                note, _WIDTH, initial_indent="# ", subsequent_indent="#   ",
                break_long_words=False, break_on_hyphens=False,
            )
        ]  # fmt: skip
        between = " " if one_line else " \\\n    "
        parts = [shlex.join(self.program), *(shlex.join(flag) for flag in self.flags)]
        return "\n".join([*lines, between.join(parts)])


def shell_command(
    experiment: Experiment,
    entry: CatalogEntry,
    interface: ScriptInterface,
    paths: Paths,
    torchvision_av_mended: bool | None = None,
) -> ShellCommand:
    """The command that trains an experiment as the platform does, as far as the script can be told.

    It has the flags that the sweep file states, and those that the script would set otherwise by
    itself. The embodiment tag is the catalog's, as in the platform's own training, and is printed
    where the script's default is another.

    Args:
        experiment: One of the trainer isaac-gr00t.
        entry: Its dataset's entry in the catalog.
        interface: The script's arguments and defaults.
        paths: Python, script, dataset and output.
        torchvision_av_mended: Whether the script's commit has the mend of that video backend;
            ``None`` where it is not known.
    """
    values = _values(experiment, entry, paths)
    wanted = _stated(experiment).union(
        name
        for name, value in values.items()
        if name not in interface.defaults or interface.defaults[name] != value
    )
    printed = [
        name
        for name in _ORDER
        if name in _ALWAYS or (name in wanted and interface.takes(name, values[name]))
    ]
    untold = [name for name in values if name in wanted and name not in printed]
    return ShellCommand(
        program=(paths.python, paths.script),
        flags=tuple(_flag(name, values[name]) for name in printed),
        notes=(
            *_frame_notes(experiment, entry, interface, printed, torchvision_av_mended),
            *_data_and_model_notes(experiment, entry),
            *(note for name in untold for note in _untold(name, values[name], interface)),
        ),
    )


def number(value: float) -> str:
    """A number as a person writes it, and exactly the same number.

    Example:
        >>> [number(value) for value in (0.0005, 2.5e-4, 1e-5, 0.01, 0.0, 0.05)]
        ['5e-4', '2.5e-4', '1e-5', '0.01', '0.0', '0.05']
    """
    if value == 0 or abs(value) >= 0.01:
        return repr(value)
    _, digits, _ = Decimal(repr(value)).normalize().as_tuple()
    exponent = Decimal(repr(value)).adjusted()
    mantissa = "".join(str(digit) for digit in digits)
    point = f"{mantissa[0]}.{mantissa[1:]}" if len(mantissa) > 1 else mantissa
    return f"{'-' if value < 0 else ''}{point}e{exponent}"


def _values(experiment: Experiment, entry: CatalogEntry, paths: Paths) -> dict[str, Any]:
    """Every setting of the experiment under the script's names, arguments or not."""
    return {
        "dataset_path": paths.dataset,
        "output_dir": paths.output,
        "base_model_path": _model(experiment.base_model),
        "data_config": entry.data_config,
        "embodiment_tag": entry.embodiment_tag,
        "report_to": experiment.report_to,
        **{name: getattr(experiment.hyperparameters, name) for name in _SETTINGS},
    }


def _model(base_model: str) -> str:
    """A Hub id as it is; a folder in full, since the script takes a relative path for a Hub id."""
    return str(Path(base_model).expanduser()) if looks_like_path(base_model) else base_model


def _stated(experiment: Experiment) -> set[str]:
    """Settings that the sweep file has, its defaults included."""
    stated = experiment.hyperparameters.model_fields_set & set(_SETTINGS)
    return stated | ({"report_to"} & experiment.model_fields_set)


def _flag(name: str, value: Any) -> tuple[str, ...]:
    """A flag as tyro takes it: of a switch the name alone, or with ``no`` before it."""
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return (f"--{dashed}",) if value else (f"--no-{dashed}",)
    return (f"--{dashed}", number(value) if isinstance(value, float) else str(value))


def _untold(name: str, value: Any, interface: ScriptInterface) -> Iterator[str]:
    """What the script does where it cannot be told a setting; nothing where it does the same."""
    shown = _flag(name, value)[-1] if not isinstance(value, bool) else str(value).lower()
    if name == "report_to":
        yield (
            f"report_to {shown}: the script takes {_listed(interface, name)}; with "
            "WANDB_MODE=disabled in the environment nothing is reported."
        )
    elif name in interface.defaults:
        yield f"{name} {shown}: this script takes {_listed(interface, name)}."
    elif name in SCRIPT_ARGUMENTS:
        yield f"{name} {shown}: this script has no such argument."
    elif value != (fixed := interface.hard_coded(name)):
        theirs = _flag(name, fixed)[-1]
        yield f"{name} {shown}: the script cannot be told and takes {theirs}."


def _listed(interface: ScriptInterface, name: str) -> str:
    return " or ".join(str(choice) for choice in interface.choices.get(name, ()))


def _frame_notes(
    experiment: Experiment,
    entry: CatalogEntry,
    interface: ScriptInterface,
    printed: list[str],
    mended: bool | None,
) -> Iterator[str]:
    settings = experiment.hyperparameters
    told = "video_backend" in printed
    backend = settings.video_backend if told else interface.defaults.get("video_backend")
    fault = ""
    if backend == "torchvision_av" and not mended:
        since = f"before {TORCHVISION_AV.commit[:7]} of {TORCHVISION_AV.date}"
        where = "at this commit" if mended is False else f"in Isaac-GR00T {since}"
        fault = f", which {where} returns the key frame before the asked time"
    if settings.frame_source == "cache":
        size = entry.frame_size
        scaled = f" of {size[0]} x {size[1]} pixels" if size else ""
        yield (
            f"frames: the platform takes them{scaled} from the frame cache, exact by timestamp; "
            f"the script decodes the videos with {backend}{fault}."
        )
    elif fault:
        yield f"frames: the script decodes the videos with {backend}{fault}."


def _data_and_model_notes(experiment: Experiment, entry: CatalogEntry) -> Iterator[str]:
    held_out = entry.held_out
    if held_out is not None:
        if isinstance(held_out, tuple):
            episodes = "episode(s) " + ", ".join(map(str, held_out))
        else:
            episodes = f"the last {held_out:.0%} of the episodes"
        yield f"held_out: the platform keeps {episodes} from training; the script trains on all."
    if experiment.continue_from is not None:
        yield (
            f"continue_from {experiment.continue_from}: the platform goes on from its last "
            "checkpoint; the script begins anew, unless a copy of that checkpoint is in "
            "--output-dir and --resume is given."
        )
    revision = experiment.base_model_revision
    if revision and not looks_like_path(experiment.base_model):
        yield (
            f"base_model_revision {revision}: the script takes the newest; download that revision "
            "and give the folder, in full, as --base-model-path."
        )
