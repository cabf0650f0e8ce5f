"""``gr00t-assets isaac``: NVIDIA's own trainer, set up, examined, and run by hand."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from gr00t_assets.cli.arguments import Json, argument, experiments, option
from gr00t_assets.cli.output import TextConsole, echo, print_by_subject, print_json
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import format_bytes, printable
from gr00t_assets.trainers.isaac_gr00t.commits import REPOSITORY, head
from gr00t_assets.trainers.isaac_gr00t.doctor.doctor import examine
from gr00t_assets.trainers.isaac_gr00t.environment import GENERATIONS, IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.setup.setup import Setup, ShowLog
from gr00t_assets.trainers.isaac_gr00t.setup.setup_steps import SetupOptions
from gr00t_assets.trainers.isaac_gr00t.shell_command import command_of_experiment

isaac_app = typer.Typer(help="The trainer isaac-gr00t and its environment.", no_args_is_help=True)

Generation = Literal["n1.5", "n1.7"]

_SETUP_BYTES = 12_000_000_000
"""8.4 GB of packages were measured without flash-attn, which adds under 1 GB, and pip keeps what it
downloads until a step is done."""

_SHOWN_LOG_BYTES = 4096


@isaac_app.command("setup")
def isaac_setup(
    directory: Annotated[Path, argument("Where checkout and Python environment go")],
    generation: Annotated[Generation, option("Of GR00T, that is to be trained")] = "n1.5",
    commit: Annotated[str | None, option("Commit of its line; a tried one if left out")] = None,
    repository: Annotated[str, option("URL or folder to clone; NVIDIA's if left out")] = REPOSITORY,
    python: Annotated[Path | None, option("A Python 3.10; looked for if left out")] = None,
    dry_run: Annotated[
        bool, option("Print the shell commands that are left, and stop", "--dry-run")
    ] = False,
    skip_flash_attn: Annotated[
        bool, option("For a machine that does not train", "--skip-flash-attn")
    ] = False,
) -> None:
    """Make the environment of Isaac-GR00T; continues where an earlier attempt stopped."""
    facts = GENERATIONS[generation]
    options = SetupOptions(commit or facts.pinned, repository, python, not skip_flash_attn)
    setup = Setup(directory, options, facts)
    if dry_run:
        for step in setup.pending:
            for command in setup.commands(step):
                echo(shlex.join(command))
        return
    free = free_bytes(setup.directory)
    if free < _SETUP_BYTES:
        needed = format_bytes(_SETUP_BYTES)
        echo(f"note: {format_bytes(free)} free here; the whole takes up to {needed}")
    try:
        with _newest_log_line() as show_log:
            setup.run(echo, show_log)
    except KeyboardInterrupt:
        echo("interrupted; the same command continues where it stopped", err=True)
        raise typer.Exit(130) from None
    checkout = setup.environment.checkout
    echo(f"Isaac-GR00T {head(checkout) or ''} at {checkout}")
    echo(f"next: gr00t-assets isaac doctor {setup.directory}")
    echo(f"to train with it: export {facts.variable}={setup.directory}")


@isaac_app.command("doctor")
def isaac_doctor(
    directory: Annotated[
        Path | None, argument("What setup made; what GR00T_ASSETS_ISAAC names if left out")
    ] = None,
    generation: Annotated[Generation, option("Of GR00T, where no folder is given")] = "n1.5",
    as_json: Json = False,
    gpu: Annotated[
        bool | None, option("Ask for a GPU; unless GR00T_ASSETS_GPUS is empty", "--gpu/--no-gpu")
    ] = None,
) -> None:
    """Say whether Isaac-GR00T can train here and what is missing; exit code 1 where it cannot."""
    environment = IsaacEnvironment.from_environment(generation)
    if directory is not None:
        environment = IsaacEnvironment.in_directory(directory)
    findings = examine(environment, store=Store.from_environment(), gpu=gpu).findings
    title = str(environment.checkout)
    if as_json:
        print_json({"environment": title, **findings.to_json()})
    else:
        print_by_subject(findings, title)
    raise typer.Exit(0 if findings.ok else 1)


@isaac_app.command("command")
def isaac_command(
    experiment: Annotated[str, argument("An experiment of the trainer isaac-gr00t", experiments)],
    script: Annotated[
        str | None, option("NVIDIA's script; that of the checkout if left out")
    ] = None,
    dataset_path: Annotated[
        list[str] | None,
        option("The dataset, once for each of a mixture; that in the store if left out"),
    ] = None,
    output_dir: Annotated[
        str | None, option("For checkpoints; in the run directory if left out")
    ] = None,
    one_line: Annotated[bool, option("Without line breaks", "--one-line")] = False,
) -> None:
    """Print the shell command that trains an experiment by hand, without this platform.

    By hand the script takes GPUs from 0 on, whatever CUDA_VISIBLE_DEVICES says.
    """
    command = command_of_experiment(experiment, script, dataset_path, output_dir)
    echo(command.text(one_line))


@contextmanager
def _newest_log_line() -> Iterator[ShowLog | None]:
    """Shows the newest line of the log in place while a command runs, on a terminal."""
    console = TextConsole(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with console.status("") as status:

        def show(log: Path) -> None:
            with log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _SHOWN_LOG_BYTES))
                lines = file.read().decode(errors="replace").splitlines() or [""]
            status.update(Text(printable(lines[-1])[: console.width - 4]))

        yield show
