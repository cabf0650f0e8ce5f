"""``gr00t-assets store``: what is on the disk, and what of it can go."""

import sys
from typing import Annotated

import typer
from rich.table import Table

from gr00t_assets.cli.output import console, plain_table
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.core.units import format_bytes
from gr00t_assets.runs.retention.prune import PrunePlan, execute_plan, plan_prune
from gr00t_assets.runs.retention.removal import disk_usage, freed_bytes
from gr00t_assets.runs.retention.retention_rule import load_rule
from gr00t_assets.runs.retention.store_state import project_state
from gr00t_assets.runs.retention.survey import Share, StoreStatus
from gr00t_assets.runs.retention.survey import store_status as status_of

store_app = typer.Typer(help="The store: its size, and what can go.", no_args_is_help=True)


@store_app.command("status")
def store_status(
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON")] = False,
) -> None:
    """Print what is in the store by kind, the free space, and what pruning would free."""
    status = status_of(Store.from_environment())
    if as_json:
        sys.stdout.write(status.model_dump_json(indent=2) + "\n")
    else:
        _print_status(status)


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
        bool, typer.Option("--unlisted", help="Runs that no sweep file has any more are stale too")
    ] = False,
) -> None:
    """Delete old frame caches, stale checkpoints, needless optimizer state and half-made files.

    Specs, manifests, metrics and logs always stay, and so does everything that is in use.
    """
    store = Store.from_environment()
    current, rule, stale = project_state(store), load_rule(), not keep_stale
    plan = plan_prune(store, current, rule, stale=stale, models=models, unlisted=unlisted)
    _print_plan(plan, store)
    if not plan.removals or dry_run:
        return
    if not (yes or typer.confirm(f"Delete these {len(plan.removals)}?")):
        typer.echo("nothing was deleted")
        raise typer.Exit(1)
    deleted = freed = 0
    for removal, size, refusal in execute_plan(plan, store):
        deleted, freed = deleted + (refusal is None), freed + size
        if refusal is not None:
            typer.echo(f"kept: {removal.path.relative_to(store.root)}: {refusal}")
    free = format_bytes(free_bytes(store.root))
    typer.echo(f"deleted {deleted}, freed {format_bytes(freed)}; {free} are free")
    raise typer.Exit(0 if deleted == len(plan.removals) else 1)


def _print_plan(plan: PrunePlan, store: Store) -> None:
    for removal in plan.removals:
        for path in removal.paths:
            size, where = format_bytes(disk_usage([path])), path.relative_to(store.root)
            typer.echo(f"{size:>9}  {removal.kind:<15}  {where}  ({removal.why})")
    for path, reason in plan.in_use:
        typer.echo(f"{'':>9}  {'kept':<15}  {path.relative_to(store.root)}  ({reason})")
    if not plan.removals:
        typer.echo("there is nothing to prune")
        return
    size = format_bytes(freed_bytes([path for item in plan.removals for path in item.paths]))
    typer.echo(f"{size} would be free afterwards, by {len(plan.removals)} deletions")
    if any(removal.kind == "optimizer state" for removal in plan.removals):
        typer.echo(
            "without optimizer state a run cannot be named in continue_from any more: name it "
            "before, or set optimizer_state: keep in data/retention.yaml"
        )


def _print_status(status: StoreStatus) -> None:
    out = console()
    total = f"{format_bytes(status.bytes)}; {format_bytes(status.free_bytes)} of its disk are free"
    out.print(f"{status.root}: {total}", highlight=False, soft_wrap=True)
    out.print(_table("kind", status.survey.kinds))
    if any(share.count for share in status.survey.runs.values()):
        out.print()
        out.print(_table("runs", status.survey.runs))
    if status.prune:
        listed = ", ".join(f"{kind} {format_bytes(size)}" for kind, size in status.prune.items())
        out.print(
            f"\n`gr00t-assets store prune` would free {format_bytes(status.prune_bytes)}: {listed}",
            highlight=False,
            soft_wrap=True,
        )
    else:
        out.print("\nthere is nothing to prune", highlight=False)


def _table(heading: str, shares: dict[str, Share]) -> Table:
    table = plain_table()
    table.add_column(heading)
    table.add_column("count", justify="right")
    table.add_column("size", justify="right")
    for name, share in shares.items():
        if share.count or share.bytes:
            table.add_row(name, str(share.count), format_bytes(share.bytes))
    return table
