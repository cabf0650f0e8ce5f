"""``gr00t-assets isaac``: NVIDIA's own trainer, made, examined, and run by hand."""

from pathlib import Path
from typing import Annotated

import typer

isaac_app = typer.Typer(help="The trainer isaac-gr00t and its environment.", no_args_is_help=True)


@isaac_app.command("setup")
def isaac_setup(
    directory: Annotated[Path, typer.Argument(help="Where checkout and Python environment go")],
    commit: Annotated[
        str | None, typer.Option(help="Commit of the N1.5 line; one of October 2025 if left out")
    ] = None,
    repository: Annotated[
        str | None, typer.Option(help="URL or folder to clone; NVIDIA's if left out")
    ] = None,
    python: Annotated[
        Path | None, typer.Option(help="A Python 3.10; looked for if left out")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the shell commands that are left, and stop")
    ] = False,
    skip_flash_attn: Annotated[
        bool, typer.Option("--skip-flash-attn", help="For a machine that does not train")
    ] = False,
) -> None:
    """Make the environment of Isaac-GR00T; goes on where an earlier attempt stopped."""
    from gr00t_assets.trainers.isaac_gr00t.setup.setup_command import run_setup
    from gr00t_assets.trainers.isaac_gr00t.setup.setup_steps import Options

    given = {"commit": commit, "repository": repository}
    options = Options(
        python=python,
        flash_attention=not skip_flash_attn,
        **{name: value for name, value in given.items() if value is not None},
    )
    raise typer.Exit(run_setup(directory, options, dry_run))


@isaac_app.command("doctor")
def isaac_doctor(
    directory: Annotated[
        Path | None,
        typer.Argument(help="What setup made; what GR00T_ASSETS_ISAAC names if left out"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON")] = False,
    gpu: Annotated[
        bool | None,
        typer.Option("--gpu/--no-gpu", help="Ask for a GPU; unless GR00T_ASSETS_GPUS is empty"),
    ] = None,
) -> None:
    """Say whether Isaac-GR00T can train here and what is missing; exit code 1 where it cannot."""
    from gr00t_assets.trainers.isaac_gr00t.doctor.doctor import run_doctor

    raise typer.Exit(run_doctor(directory, as_json, gpu))


@isaac_app.command("command")
def isaac_command(
    experiment: Annotated[str, typer.Argument(help="An experiment of the trainer isaac-gr00t")],
    script: Annotated[
        str | None, typer.Option(help="gr00t_finetune.py; that of the checkout if left out")
    ] = None,
    dataset_path: Annotated[
        str | None, typer.Option(help="The dataset; its version in the store if left out")
    ] = None,
    output_dir: Annotated[
        str | None, typer.Option(help="For checkpoints; in the run directory if left out")
    ] = None,
    one_line: Annotated[bool, typer.Option("--one-line", help="Without line breaks")] = False,
) -> None:
    """Print the shell command that trains an experiment by hand, without this platform.

    By hand the script takes GPUs from 0 on, whatever CUDA_VISIBLE_DEVICES says.
    """
    from gr00t_assets.trainers.isaac_gr00t.command.command_line import print_command

    print_command(experiment, script, dataset_path, output_dir, one_line)
