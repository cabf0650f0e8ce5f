"""The shell command with which a person trains an experiment by NVIDIA's script, by hand."""

import os
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import DatasetError, TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry, find_entry, load_catalog
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import find_experiment, load_sweeps
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.trainers.base_model_files import looks_like_path
from gr00t_assets.trainers.isaac_gr00t.command_notes import data_notes, frame_notes, setting_notes
from gr00t_assets.trainers.isaac_gr00t.commits import TORCHVISION_AV, revision_of
from gr00t_assets.trainers.isaac_gr00t.environment import TRAINER_NAME, IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.launch_file import SCRIPT_ARGUMENTS, TRAINING_ARGUMENTS
from gr00t_assets.trainers.isaac_gr00t.script_interface import (
    RELEASE,
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
        separator = " " if one_line else " \\\n    "
        parts = [shlex.join(self.program), *(shlex.join(flag) for flag in self.flags)]
        return "\n".join([*lines, separator.join(parts)])


def shell_command(
    experiment: Experiment,
    entry: CatalogEntry,
    interface: ScriptInterface,
    paths: Paths,
    torchvision_av_fixed: bool | None = None,
) -> ShellCommand:
    """The command that trains an experiment as the platform does, as far as the script can.

    It has the flags that the sweep file states, and those for which the script has another default.
    The embodiment tag is the catalog's, as in the platform's own training, and is printed
    where the script's default is another.

    Args:
        experiment: One of the trainer isaac-gr00t.
        entry: Its dataset's entry in the catalog.
        interface: The script's arguments and defaults.
        paths: Python, script, dataset and output.
        torchvision_av_fixed: Whether the script's commit has the fix of that video backend;
            ``None`` where it is not known.
    """
    values = _values(experiment, entry, paths)
    needed = _set_in_sweep_file(experiment).union(
        name
        for name, value in values.items()
        if name not in interface.defaults or interface.defaults[name] != value
    )
    printed = [
        name
        for name in _ORDER
        if name in _ALWAYS or (name in needed and interface.takes(name, values[name]))
    ]
    omitted = [name for name in values if name in needed and name not in printed]
    return ShellCommand(
        program=(paths.python, paths.script),
        flags=tuple(flag(name, values[name]) for name in printed),
        notes=(
            *frame_notes(experiment, entry, interface, printed, torchvision_av_fixed),
            *data_notes(experiment, entry),
            *(note for name in omitted for note in setting_notes(name, values[name], interface)),
        ),
    )


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


def _set_in_sweep_file(experiment: Experiment) -> set[str]:
    """Settings that the sweep file has, its defaults included."""
    settings = experiment.hyperparameters.model_fields_set & set(_SETTINGS)
    return settings | ({"report_to"} & experiment.model_fields_set)


def command_of_experiment(
    name: str,
    script: str | None = None,
    dataset_path: str | None = None,
    output_dir: str | None = None,
) -> ShellCommand:
    """The command of an experiment of the sweep files, with this machine's paths.

    Args:
        name: The experiment.
        script: The fine-tuning script; that of the configured checkout where left out. Defaults
            are read from it where it is there, else from the configured one; else they are those of
            the release.
        dataset_path: The dataset; its current version in the store where left out.
        output_dir: For checkpoints; the run directory's where left out.

    Raises:
        Gr00tAssetsError: There is no such experiment, its trainer has no script, or a path is left
            out that this machine does not have.
    """
    catalog = load_catalog()
    experiment = find_experiment(name, load_sweeps(datasets=catalog))
    if experiment.trainer != TRAINER_NAME:
        raise TrainingError(
            experiment.name,
            f"its trainer is {experiment.trainer}, which NVIDIA's script does not train.",
            ["train it by hand: gr00t-assets train SPEC, with the spec.json of its run directory"],
        )
    environment = IsaacEnvironment.from_environment()
    configured = environment.script.is_file()
    problems = []
    if script is None and not configured:
        problems.append(
            f"--script: there is no checkout at {environment.checkout}; set one up with "
            "gr00t-assets isaac setup"
        )
    dataset, output, data_problems = _in_store(experiment, dataset_path, output_dir)
    problems += data_problems
    if problems:
        raise TrainingError(
            experiment.name,
            "its command needs paths that this machine does not have.",
            [*problems, "or give the options named here"],
        )
    paths = Paths(
        python=_python(environment),
        script=script or str(environment.script),
        dataset=dataset,
        output=output,
    )
    chosen = Path(paths.script).expanduser()
    source = chosen if chosen.is_file() else environment.script if configured else None
    interface = read_interface(source) if source else RELEASE
    fixed = revision_of(source.absolute().parents[1]).fixed if source else {}
    command = shell_command(
        experiment,
        find_entry(experiment.dataset, catalog),
        interface,
        paths,
        fixed.get(TORCHVISION_AV.code),
    )
    if output_dir is None:
        return ShellCommand(command.program, command.flags, (*command.notes, _OWN_FOLDER))
    return command


def _python(environment: IsaacEnvironment) -> str:
    """The checkout's Python where it is there; by hand, that of an activated environment."""
    return str(environment.python) if os.access(environment.python, os.X_OK) else "python"


def _in_store(
    experiment: Experiment, dataset_path: str | None, output_dir: str | None
) -> tuple[str, str, list[str]]:
    """Dataset and output, those given or the store's, and what is missing in the store."""
    if dataset_path is not None and output_dir is not None:
        return dataset_path, output_dir, []
    store = Store.from_environment()
    try:
        spec = make_spec(experiment, store)
    except DatasetError as error:
        given = {"--dataset-path": dataset_path, "--output-dir": output_dir}
        missing = ", ".join(option for option, value in given.items() if value is None)
        lines = [line.strip() for line in str(error).splitlines()]
        return "", "", [f"{missing}: {' '.join(lines)}"]
    dataset = dataset_path or str(spec.dataset_directory)
    return dataset, output_dir or str(spec.run_directory / CHECKPOINTS), []
