"""``gr00t-assets import``: runs that were made elsewhere."""

from typing import Annotated

import typer

from gr00t_assets.cli.output import echo
from gr00t_assets.comparison.tables.wandb_import import import_wandb
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted

import_app = typer.Typer(help="Runs that were made elsewhere.", no_args_is_help=True)


@import_app.command("wandb")
def import_from_wandb(
    project: Annotated[str, typer.Argument(help="ENTITY/PROJECT", metavar="ENTITY/PROJECT")],
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag: gr00t-overfit")] = None,
) -> None:
    """Read the runs of a W&B project into the store; a former import of it is replaced.

    The key is that of WANDB_API_KEY or of 'wandb login', the server that of WANDB_BASE_URL.
    """
    file, runs = import_wandb(project, Store.from_environment(), tag, echo)
    echo(f"imported: {counted(len(runs), 'run')}, {file}")
    echo("compare them: gr00t-assets compare --imported")
