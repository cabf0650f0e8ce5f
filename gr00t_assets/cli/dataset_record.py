"""``gr00t-assets dataset record``: demonstrations of an environment's expert."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gr00t_assets.cli.completion import environments
from gr00t_assets.cli.output import echo
from gr00t_assets.core.errors import DatasetError, system_errors_explained
from gr00t_assets.core.files import published_directory


def dataset_record(
    environment: Annotated[
        str,
        typer.Argument(
            help="Built in, or of data/environments.yaml: so101-pick", autocompletion=environments
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make")],
    expert: Annotated[
        bool, typer.Option("--expert", help="The environment's own expert is recorded")
    ] = False,
    episodes: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the first episode")] = 0,
    noise: Annotated[
        str, typer.Option(help="Disturbance of the executed commands: of all, or of each by commas")
    ] = "0",
    version: Annotated[
        Literal["v2.1", "v3.0"], typer.Option("--format", help="LeRobot's, v2.1 or v3.0")
    ] = "v2.1",
) -> None:
    """Record demonstrations as a LeRobot dataset; episodes in which the expert fails are left out.

    Recorded is what the expert commands; with noise, something near it is executed, so that the
    demonstrations show how to get back.
    """
    from gr00t_assets.datasets.expert_recording import record_expert
    from gr00t_assets.datasets.source_kinds import EnvironmentSource

    if not expert:
        raise typer.BadParameter("say who acts: --expert", param_hint="--expert")
    if out.exists():
        problem = "it is there already; nothing is written into a folder that exists."
        raise DatasetError(str(out), problem, ["name another one by --out"])
    try:
        every = tuple(float(number) for number in noise.split(","))
        disturbed = every[0] if len(every) == 1 else every
        source = EnvironmentSource(
            environment=environment, episodes=episodes, seed=seed, noise=disturbed
        )
    except ValueError as error:
        expected = "expected a number from 0 on, or one for each number of the action: 1,1,1,1,0,0"
        raise typer.BadParameter(expected, param_hint="--noise") from error
    with system_errors_explained(out.parent), published_directory(out) as folder:
        record_expert(source, folder, version, echo)
    echo(f"{out}: LeRobot {version}; take it into the catalog: gr00t-assets dataset add {out}")
