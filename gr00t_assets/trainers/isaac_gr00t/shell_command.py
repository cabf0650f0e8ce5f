"""The shell command with which a person trains an experiment by NVIDIA's script, by hand.

Above it stands, in sentences, what the script does otherwise than this platform.
"""

import os
import shlex
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import DatasetError, TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_configs import embodiment_tag_of
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.modality.data_config import is_built_in
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.trainers.base_model_files import looks_like_path, model_path
from gr00t_assets.trainers.isaac_gr00t.commits import TORCHVISION_AV
from gr00t_assets.trainers.isaac_gr00t.data_config_module import CLASS, module_name
from gr00t_assets.trainers.isaac_gr00t.environment import N17, TRAINER_NAME, IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.launch_file import (
    FOLDER,
    SCRIPT_ARGUMENTS,
    TRAINING_ARGUMENTS,
)
from gr00t_assets.trainers.isaac_gr00t.limits import generation_of
from gr00t_assets.trainers.isaac_gr00t.n17_launch import n17_flags
from gr00t_assets.trainers.isaac_gr00t.script_interface import (
    RELEASE,
    TRANSFORMERS_DEFAULTS,
    ScriptInterface,
    flag,
    read_interface,
)

_ORDER = (
    "dataset_path",
    *(name for name in RELEASE.defaults if name != "resume"),
    "gradient_accumulation_steps",
)
"""Arguments in the order in which they are printed; later scripts have the last one."""

_ALWAYS = ("dataset_path", "output_dir", "data_config")
"""Arguments that every command has, defaults or not."""

_SETTINGS = (*SCRIPT_ARGUMENTS, *TRAINING_ARGUMENTS, "save_total_limit")
_WIDTH = 98

_OWN_FOLDER = (
    "output_dir: this is the platform's own folder; it removes checkpoints there that it did not "
    "write. Give --output-dir to keep yours."
)


@dataclass(frozen=True)
class ShellCommand:
    """A command, and what it does otherwise than the platform."""

    program: tuple[str, ...]  # Python and script
    flags: tuple[tuple[str, ...], ...]  # Each with its value, if it has one, in order
    notes: tuple[str, ...]  # A sentence for each thing that the script does otherwise

    def text(self, one_line: bool = False) -> str:
        """The command quoted for a shell, below its notes as comments."""
        wrapper = textwrap.TextWrapper(
            _WIDTH, "# ", "#   ", break_long_words=False, break_on_hyphens=False
        )
        lines = [line for note in self.notes for line in wrapper.wrap(note)]
        separator = " " if one_line else " \\\n    "
        parts = [shlex.join(self.program), *(shlex.join(flag) for flag in self.flags)]
        return "\n".join([*lines, separator.join(parts)])


def shell_command(
    experiment: Experiment,
    entries: Sequence[CatalogEntry],
    interface: ScriptInterface,
    program: tuple[str, str],
    datasets: tuple[str, ...],
    output: str,
) -> ShellCommand:
    """The command that trains an experiment as the platform does, as far as the script can.

    It has the flags that the sweep file states, and those for which the script has another default.
    The embodiment tag is the catalog's, as in the platform's own training, and is printed
    where the script's default is another.
    """
    own = entries[0].data_config
    values = {
        "dataset_path": datasets,
        "output_dir": output,
        "base_model_path": str(model_path(experiment.base_model)),
        # One of the project's own as the module and class that the platform writes.
        "data_config": own if is_built_in(own) else f"{module_name(own)}:{CLASS}",
        "embodiment_tag": embodiment_tag_of(entries[0]),
        "report_to": experiment.report_to,
        **{name: getattr(experiment.hyperparameters, name) for name in _SETTINGS},
    }
    stated = experiment.hyperparameters.model_fields_set | experiment.model_fields_set
    needed = [
        name
        for name, value in values.items()
        if (name in stated and name in (*_SETTINGS, "report_to"))
        or (name, value) not in interface.defaults.items()
    ]
    printed = [
        name
        for name in _ORDER
        if name in _ALWAYS or (name in needed and interface.takes(name, values[name]))
    ]
    notes = [*_frame_notes(experiment, entries, interface, printed)]
    if not is_built_in(own):
        notes.append(
            f"data_config {own}: the script of October 2025 takes it so with the folder `{FOLDER}` "
            "of the run directory in PYTHONPATH, where the platform writes the module when it "
            "trains; the script of June takes none of one's own."
        )
    notes += _data_notes(experiment, entries, "--resume")
    for name in needed:
        if name not in printed:
            notes += _setting_notes(name, values[name], interface)
    return ShellCommand(program, tuple(flag(name, values[name]) for name in printed), tuple(notes))


def _frame_notes(
    experiment: Experiment,
    entries: Sequence[CatalogEntry],
    interface: ScriptInterface,
    printed: Collection[str],
) -> Iterator[str]:
    """Which frames the script trains on."""
    settings, backend = IsaacHyperparameters.of(experiment), interface.defaults.get("video_backend")
    if "video_backend" in printed:
        backend = settings.video_backend
    decoded = f"the script decodes the videos with {backend}"
    is_faulty = backend == "torchvision_av" and not interface.torchvision_av_fixed
    if is_faulty:
        since = f"before {TORCHVISION_AV.commit[:7]} of {TORCHVISION_AV.date}"
        known = interface.torchvision_av_fixed is False
        where = "at this commit" if known else f"in Isaac-GR00T {since}"
        decoded += f", which {where} returns the key frame before the asked time"
    if settings.frame_source == "cache":
        size = entries[0].frame_size
        scaled = f" of {size[0]} x {size[1]} pixels" if size else ""
        exact = f"the platform takes them{scaled} from the frame cache, exact by timestamp"
        yield f"frames: {exact}; {decoded}."
    elif is_faulty:
        yield f"frames: {decoded}."


def _data_notes(
    experiment: Experiment, entries: Sequence[CatalogEntry], resume: str
) -> Iterator[str]:
    """Held-out episodes, continued runs and revisions, which no script knows."""
    for entry in entries:
        match entry.held_out:
            case None:
                continue
            case tuple() as numbers:
                episodes = f"episode(s) {', '.join(map(str, numbers))}"
            case share:
                episodes = f"the last {share * 100:g}% of the episodes"
        episodes += f" of {entry.name}" if len(entries) > 1 else ""
        yield f"held_out: the platform keeps {episodes} from training; the script trains on all."
    if experiment.continue_from is not None:
        yield (
            f"continue_from {experiment.continue_from}: the platform goes on from its last "
            "checkpoint; the script begins anew, unless a copy of that checkpoint is in "
            f"--output-dir and {resume} is given."
        )
    revision = experiment.base_model_revision
    if revision and not looks_like_path(experiment.base_model):
        yield (
            f"base_model_revision {revision}: the script takes the newest; download that revision "
            "and give the folder, in full, as --base-model-path."
        )


def _setting_notes(name: str, value: Any, interface: ScriptInterface) -> Iterator[str]:
    """What the script does where it takes no such setting; nothing where it does the same."""
    shown = flag(name, value)[-1] if not isinstance(value, bool) else str(value).lower()
    choices = " or ".join(map(str, interface.choices.get(name, ())))
    if name == "report_to":
        yield (
            f"report_to {shown}: the script takes {choices}; with "
            "WANDB_MODE=disabled in the environment nothing is reported."
        )
    elif name in interface.defaults:
        yield f"{name} {shown}: this script takes {choices}."
    elif name in SCRIPT_ARGUMENTS:
        yield f"{name} {shown}: this script has no such argument."
    elif value != (fixed := {**TRANSFORMERS_DEFAULTS, **interface.fixed}[name]):
        yield f"{name} {shown}: the script cannot be told and takes {flag(name, fixed)[-1]}."


def command_of_experiment(
    name: str,
    script: str | None = None,
    dataset_path: Sequence[str] | None = None,
    output_dir: str | None = None,
) -> ShellCommand:
    """The command of an experiment of the sweep files, with this machine's paths.

    Args:
        name: The experiment.
        script: The fine-tuning script; that of the configured checkout where left out. Defaults
            are read from it where it is there, else from the configured one; else they are those of
            the release.
        dataset_path: The datasets; their current versions in the store where left out.
        output_dir: For checkpoints; the run directory's where left out.

    Raises:
        Gr00tAssetsError: There is no such experiment, its trainer has no script, or a path is left
            out that this machine does not have.
    """
    project = read_project()
    catalog, experiment = project.datasets, project.experiments[name]
    if experiment.trainer != TRAINER_NAME:
        problem = f"its trainer is {experiment.trainer}, which NVIDIA's script does not train."
        command = "gr00t-assets train SPEC, with the spec.json of its run directory"
        raise TrainingError(experiment.name, problem, [f"train it by hand: {command}"])
    environment = IsaacEnvironment.from_environment(generation_of(experiment))
    problems = []
    if script is None and not environment.script.is_file():
        missing = f"--script: there is no checkout at {environment.checkout}"
        problems.append(f"{missing}; set one up with {environment.setup_command('DIR')}")
    datasets, output = tuple(dataset_path or ()), output_dir or ""
    if not datasets or output_dir is None:
        try:
            spec = make_spec(experiment, Store.from_environment())
            datasets = datasets or tuple(str(dataset.directory) for dataset in spec.datasets)
            output = output or str(spec.run_directory / CHECKPOINTS)
        except DatasetError as error:
            given = {"--dataset-path": dataset_path, "--output-dir": output_dir}
            missing = ", ".join(option for option, value in given.items() if not value)
            lines = [line.strip() for line in str(error).splitlines()]
            problems.append(f"{missing}: {' '.join(lines)}")
    if problems:
        problem = "its command needs paths that this machine does not have."
        raise TrainingError(experiment.name, problem, [*problems, "or give the options named here"])
    # By hand, the Python of an activated environment, where the checkout's is not there.
    python = str(environment.python) if os.access(environment.python, os.X_OK) else "python"
    program = (python, script or str(environment.script))
    entries = [catalog[dataset.name] for dataset in experiment.datasets]
    if environment.generation is N17:
        spec = make_spec(experiment, Store.from_environment())
        flags, notes = n17_flags(spec, spec.run_directory / FOLDER, datasets, output)
        notes += tuple(_data_notes(experiment, entries, "--resume-from-checkpoint"))
        command = ShellCommand(program, flags, notes)
    else:
        chosen = Path(script).expanduser() if script else environment.script
        source = next((path for path in (chosen, environment.script) if path.is_file()), None)
        interface = read_interface(source) if source else RELEASE
        command = shell_command(experiment, entries, interface, program, datasets, output)
    return replace(command, notes=(*command.notes, _OWN_FOLDER)) if output_dir is None else command
