"""What NVIDIA's script does otherwise than this platform, in sentences for a person."""

from collections.abc import Collection, Iterator
from typing import Any

from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.trainers.base_model_files import looks_like_path
from gr00t_assets.trainers.isaac_gr00t.commits import TORCHVISION_AV
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import isaac_settings
from gr00t_assets.trainers.isaac_gr00t.launch_file import SCRIPT_ARGUMENTS
from gr00t_assets.trainers.isaac_gr00t.script_interface import ScriptInterface, flag


def frame_notes(
    experiment: Experiment,
    entry: CatalogEntry,
    interface: ScriptInterface,
    printed: Collection[str],
    torchvision_av_fixed: bool | None,
) -> Iterator[str]:
    """Which frames the script trains on.

    Args:
        experiment: The experiment.
        entry: Its dataset's entry in the catalog.
        interface: The script's arguments and defaults.
        printed: Names of the arguments that the command has.
        torchvision_av_fixed: Whether the script's commit has the fix of that video backend.
    """
    settings = isaac_settings(experiment)
    is_argument = "video_backend" in printed
    backend = settings.video_backend if is_argument else interface.defaults.get("video_backend")
    fault = ""
    if backend == "torchvision_av" and not torchvision_av_fixed:
        since = f"before {TORCHVISION_AV.commit[:7]} of {TORCHVISION_AV.date}"
        where = "at this commit" if torchvision_av_fixed is False else f"in Isaac-GR00T {since}"
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


def data_notes(experiment: Experiment, entry: CatalogEntry) -> Iterator[str]:
    """Held-out episodes, continued runs and revisions, which the script does not know."""
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


def setting_notes(name: str, value: Any, interface: ScriptInterface) -> Iterator[str]:
    """What the script does where it takes no such setting; nothing where it does the same."""
    shown = flag(name, value)[-1] if not isinstance(value, bool) else str(value).lower()
    if name == "report_to":
        yield (
            f"report_to {shown}: the script takes {_choices(interface, name)}; with "
            "WANDB_MODE=disabled in the environment nothing is reported."
        )
    elif name in interface.defaults:
        yield f"{name} {shown}: this script takes {_choices(interface, name)}."
    elif name in SCRIPT_ARGUMENTS:
        yield f"{name} {shown}: this script has no such argument."
    elif value != (fixed := interface.hard_coded(name)):
        theirs = flag(name, fixed)[-1]
        yield f"{name} {shown}: the script cannot be told and takes {theirs}."


def _choices(interface: ScriptInterface, name: str) -> str:
    return " or ".join(str(choice) for choice in interface.choices.get(name, ()))
