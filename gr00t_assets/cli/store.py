"""``gr00t-assets store``: what is on the disk, and what of it can go."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from gr00t_assets.cli.arguments import Json, option
from gr00t_assets.cli.output import console, echo, plain_table, print_json
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted, format_bytes
from gr00t_assets.runs.retention import prune
from gr00t_assets.runs.retention.removal import disk_usage, freed_bytes
from gr00t_assets.runs.retention.retention_rule import load_rule, project_state

if TYPE_CHECKING:
    from gr00t_assets.runs.verification import Verification

store_app = typer.Typer(help="The store: its size, and what can go.", no_args_is_help=True)


@store_app.command("status")
def store_status(as_json: Json = False) -> None:
    """Print what is in the store by kind, the free space, and what pruning would free."""
    status = prune.store_status(_readable_store())
    if as_json:
        print_json(status.model_dump(mode="json"))
    else:
        _print_status(status)


@store_app.command("prune")
def store_prune(
    dry_run: Annotated[bool, option("Print what would go; stop", "--dry-run")] = False,
    yes: Annotated[bool, option("Do not ask", "--yes", "-y")] = False,
    keep_stale: Annotated[
        bool, option("Leave the checkpoints of stale runs", "--keep-stale")
    ] = False,
    models: Annotated[bool, option("The models of stale runs as well", "--models")] = False,
    others: Annotated[
        bool,
        option(
            "Also what no sweep file here has, other clones asked for, other machines left",
            "--all",
            "--unlisted",
        ),
    ] = False,
    as_json: Annotated[bool, option("With --dry-run: as JSON", "--json")] = False,
) -> None:
    """Delete old frame caches, stale checkpoints, needless optimizer state and half-made files.

    Specs, manifests, metrics and logs always stay, and so does everything that is in use. What
    other clones of the project asked for goes with --all alone; look at its --dry-run first.
    """
    if as_json and not dry_run:
        raise typer.BadParameter("it is for --dry-run", param_hint="--json")
    store = _readable_store()
    current, rule, stale = project_state(store), load_rule(), not keep_stale
    plan = prune.plan_prune(store, current, rule, stale=stale, models=models, others=others)
    _print_plan(plan, store, as_json)
    if not plan.removals or dry_run:
        return
    if not (yes or typer.confirm(f"Delete these {len(plan.removals)}?")):
        echo("nothing was deleted")
        raise typer.Exit(1)
    deleted = freed = 0
    for removal, size, refusal in prune.execute_plan(plan, store):
        deleted, freed = deleted + (refusal is None), freed + size
        if refusal is not None:
            echo(f"kept: {removal.path.relative_to(store.root)}: {refusal}")
    free = format_bytes(free_bytes(store.root))
    echo(f"deleted {deleted}, freed {format_bytes(freed)}; {free} are free")
    raise typer.Exit(0 if deleted == len(plan.removals) else 1)


@store_app.command("verify")
def store_verify(
    repair: Annotated[
        bool, option("Move aside what is damaged and can be made anew", "--repair")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read everything in the store and compare it with what was recorded when it was written.

    Nothing is ever deleted: a repair moves to the folder damaged/ of the store. Exit code 1 where
    something is damaged and stays where it is.
    """
    from gr00t_assets.runs.verification import verify_store

    verification = verify_store(_readable_store(), repair)
    if as_json:
        print_json(verification.to_json())
    else:
        _print_verification(verification)
    raise typer.Exit(0 if verification.ok else 1)


@store_app.command("rematerialize")
def store_rematerialize() -> None:
    """Tell Dagster anew what the store has, after its database was lost or moved aside.

    Datasets, modality configs, frame caches, checkpoints and evaluations appear on the page as
    materialised, with the versions of their records and manifests. What it knows is left alone.
    Exit code 1 where something of the store cannot be read.
    """
    from gr00t_assets.defs.queue import project_instance
    from gr00t_assets.defs.rematerialize import rematerialize

    with project_instance() as instance:
        reported = []
        for item in rematerialize(instance, Store.from_environment()):
            reported.append(item)
            if item.new or item.problem:
                echo(f"{item.asset} {item.partition}: {item.problem or 'reported'}")
    problems, new = sum(bool(item.problem) for item in reported), sum(item.new for item in reported)
    echo(f"{new} reported, {len(reported) - new - problems} known before, {problems} not readable")
    raise typer.Exit(1 if problems else 0)


def _readable_store() -> Store:
    """The store, where this user may list every folder: what is closed would count as missing."""

    def refuse(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise error

    store = Store.from_environment()
    for _ in os.walk(store.root, onerror=refuse):
        pass
    return store


def _print_verification(verification: "Verification") -> None:
    tally = verification.tally
    for damage in verification.damages:
        where = verification.shown(damage.path)
        echo(f"{damage.kind} {where}: {damage.found}; {damage.remedy}")
    for path in tally.in_use:
        echo(f"left out: {verification.shown(path)}: a process trains in it")
    if tally.unrecorded:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.unrecorded.items()))
        echo(f"files without a recorded checksum, taken as they are: {kinds}")
    count, kept = len(verification.damages), counted(tally.files, "file")
    echo(f"{kept} compared, {format_bytes(tally.bytes)}; {count or 'nothing'} damaged")


def _print_plan(plan: prune.PrunePlan, store: Store, as_json: bool) -> None:
    def shown(path: Path) -> str:
        return str(path.relative_to(store.root))

    freed = freed_bytes([path for removal in plan.removals for path in removal.paths])
    if as_json:
        removals = [
            {
                "kind": removal.kind,
                "paths": list(map(shown, removal.paths)),
                "bytes": disk_usage(removal.paths),
                "why": removal.why,
            }
            for removal in plan.removals
        ]
        in_use = [{"path": shown(path), "why": reason} for path, reason in plan.in_use]
        print_json({"removals": removals, "in_use": in_use, "freed_bytes": freed})
        return
    for removal in plan.removals:
        for path in removal.paths:
            size = format_bytes(disk_usage([path]))
            echo(f"{size:>9}  {removal.kind:<15}  {shown(path)}  ({removal.why})")
    for path, reason in plan.in_use:
        echo(f"{'':>9}  {'kept':<15}  {shown(path)}  ({reason})")
    if not plan.removals:
        echo("there is nothing to prune")
        return
    deletions = counted(len(plan.removals), "deletion")
    echo(f"{format_bytes(freed)} would be free afterwards, by {deletions}")
    if any(removal.kind == "optimizer state" for removal in plan.removals):
        echo(
            "without optimizer state a run cannot be named in continue_from any more: name it "
            "before, or set optimizer_state: keep in data/retention.yaml"
        )


def _print_status(status: prune.StoreStatus) -> None:
    out = console()
    free = format_bytes(status.free_bytes)
    echo(f"{status.root}: {format_bytes(status.bytes)}; {free} of its disk are free")
    out.print(_table("kind", status.survey.kinds))
    if any(share.count for share in status.survey.runs.values()):
        out.print()
        out.print(_table("runs", status.survey.runs))
    text = "there is nothing to prune"
    if status.prune:
        listed = ", ".join(f"{kind} {format_bytes(size)}" for kind, size in status.prune.items())
        text = f"`gr00t-assets store prune` would free {format_bytes(status.prune_bytes)}: {listed}"
    echo(f"\n{text}")


def _table(heading: str, shares: dict[str, prune.Share]) -> Table:
    rows = (
        (name, str(share.count), format_bytes(share.bytes))
        for name, share in shares.items()
        if share.count or share.bytes
    )
    numbers = (Column("count", justify="right"), Column("size", justify="right"))
    return plain_table(heading, *numbers, rows=rows)
