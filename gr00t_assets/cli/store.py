"""``gr00t-assets store``: what is on the disk, and what of it can go."""

from typing import Annotated

import typer

store_app = typer.Typer(help="The store: its size, and what can go.", no_args_is_help=True)


@store_app.command("status")
def store_status(
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON")] = False,
) -> None:
    """Print what is in the store by kind, the free space, and what pruning would free."""
    from gr00t_assets.runs.retention.command import run_status

    raise typer.Exit(run_status(as_json))


@store_app.command("prune")
def store_prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go; stop")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    keep_stale: Annotated[
        bool, typer.Option("--keep-stale", help="Leave the checkpoints of stale runs")
    ] = False,
    models: Annotated[
        bool, typer.Option("--models", help="The models of stale runs as well")
    ] = False,
    unlisted: Annotated[
        bool,
        typer.Option("--unlisted", help="Runs that no sweep file has any more are stale too"),
    ] = False,
) -> None:
    """Delete old frame caches, stale checkpoints, needless optimizer state and half-made files.

    Specs, manifests, metrics and logs always stay, and so does everything that is in use.
    """
    from gr00t_assets.runs.retention.command import run_prune
    from gr00t_assets.runs.retention.plan import Choices

    choices = Choices(stale=not keep_stale, models=models, unlisted=unlisted)
    raise typer.Exit(run_prune(choices, dry_run, lambda question: yes or typer.confirm(question)))
