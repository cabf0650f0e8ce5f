"""``gr00t-assets isaac command``: find what a command names on this machine, and print it."""

import os
import sys
from pathlib import Path

from gr00t_assets.core.errors import DatasetError, TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import find_entry, load_catalog
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import find_experiment, load_sweeps
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.trainers.isaac_gr00t.command.script_interface import RELEASE, read_interface
from gr00t_assets.trainers.isaac_gr00t.command.shell_command import (
    Paths,
    ShellCommand,
    shell_command,
)
from gr00t_assets.trainers.isaac_gr00t.doctor.commits import TORCHVISION_AV, revision_of
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment

_OWN_FOLDER = (
    "output_dir: this is the platform's own folder; it removes checkpoints there that it did not "
    "write. Give --output-dir to keep yours."
)


def print_command(
    name: str,
    script: str | None = None,
    dataset_path: str | None = None,
    output_dir: str | None = None,
    one_line: bool = False,
) -> None:
    """Print the command of an experiment for a person to run by hand.

    Args:
        name: The experiment.
        script: The fine-tuning script; that of the configured checkout where left out. Defaults
            are read from it where it is there, else from the configured one; else they are those of
            the release.
        dataset_path: The dataset; its current version in the store where left out.
        output_dir: For checkpoints; the run directory's where left out.
        one_line: Without line breaks.

    Raises:
        Gr00tAssetsError: There is no such experiment, its trainer has no script, or a path is left
            out that this machine does not tell.
    """
    catalog = load_catalog()
    experiment = find_experiment(name, load_sweeps(datasets=catalog))
    command = command_of(experiment, script, dataset_path, output_dir)
    sys.stdout.write(command.text(one_line) + "\n")


def command_of(
    experiment: Experiment,
    script: str | None = None,
    dataset_path: str | None = None,
    output_dir: str | None = None,
) -> ShellCommand:
    """The command of an experiment with the paths of this machine where none are given.

    Raises:
        TrainingError: Its trainer is not isaac-gr00t, or a path is left out that this machine does
            not tell.
        CatalogError: Its dataset is not in the catalog.
    """
    if experiment.trainer != "isaac-gr00t":
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
            "its command needs paths that this machine does not tell.",
            [*problems, "or give the options named here"],
        )
    paths = Paths(
        python=_python(environment),
        script=script or str(environment.script),
        dataset=dataset,
        output=output,
    )
    named = Path(paths.script).expanduser()
    source = named if named.is_file() else environment.script if configured else None
    interface = read_interface(source) if source else RELEASE
    mended = revision_of(source.absolute().parents[1]).mended if source else {}
    command = shell_command(
        experiment,
        find_entry(experiment.dataset, load_catalog()),
        interface,
        paths,
        mended.get(TORCHVISION_AV.code),
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
