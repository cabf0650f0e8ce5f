"""``gr00t-assets store status``: the survey, the free space, and what pruning would free."""

from collections import Counter

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.table import Table

from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.core.units import in_units
from gr00t_assets.experiments.sweeps import load_sweeps
from gr00t_assets.runs.retention.current import Current, read_current
from gr00t_assets.runs.retention.disk_use import freed
from gr00t_assets.runs.retention.plan import PrunePlan, plan_prune
from gr00t_assets.runs.retention.rule import load_rule
from gr00t_assets.runs.retention.survey import Survey, survey


class StoreStatus(BaseModel):
    """What a person asks of a store before it is full."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: str
    bytes: int = Field(description="Of the disk, of everything below the root")
    free_bytes: int = Field(description="Of the disk, for this user")
    survey: Survey
    prune: dict[str, int] = Field(description="Bytes that `store prune` would free, by kind")
    prune_bytes: int = Field(description="Of all kinds; a file with several names counts once")


def project_current(store: Store) -> Current:
    """What is current in the store by the project's sweep files.

    Raises:
        SweepError: A sweep file is wrong; then nothing can be said to be stale.
    """
    return read_current((e for sweep in load_sweeps().values() for e in sweep.experiments), store)


def store_status(store: Store) -> StoreStatus:
    """Look through the whole store; nothing is changed.

    Raises:
        SweepError: A sweep file is wrong.
        StoreError: ``data/retention.yaml`` is wrong.
    """
    current = project_current(store)
    found = survey(store, current)
    plan = plan_prune(store, current, load_rule())
    return StoreStatus(
        root=str(store.root),
        bytes=sum(share.bytes for share in found.kinds.values()),
        free_bytes=free_bytes(store.root),
        survey=found,
        prune=freed_by_kind(plan),
        prune_bytes=freed([path for removal in plan.removals for path in removal.paths]),
    )


def freed_by_kind(plan: PrunePlan) -> dict[str, int]:
    """Bytes that each kind of removal frees by itself."""
    kinds = Counter(dict.fromkeys((removal.kind for removal in plan.removals), 0))
    for kind in kinds:
        paths = [path for each in plan.removals if each.kind == kind for path in each.paths]
        kinds[kind] = freed(paths)
    return dict(kinds)


def print_status(status: StoreStatus, out: Console) -> None:
    """Print the status as two tables and a line."""
    kinds = Table(box=None, pad_edge=False, header_style="bold")
    kinds.add_column("kind")
    kinds.add_column("count", justify="right")
    kinds.add_column("size", justify="right")
    for name, share in status.survey.kinds.items():
        if share.count or share.bytes:
            kinds.add_row(name, str(share.count), in_units(share.bytes))
    runs = Table(box=None, pad_edge=False, header_style="bold")
    runs.add_column("runs")
    runs.add_column("count", justify="right")
    runs.add_column("size", justify="right")
    for name, share in status.survey.runs.items():
        if share.count:
            runs.add_row(name, str(share.count), in_units(share.bytes))
    total = f"{in_units(status.bytes)}; {in_units(status.free_bytes)} of its disk are free"
    out.print(f"{status.root}: {total}", highlight=False, soft_wrap=True)
    out.print(kinds)
    if any(share.count for share in status.survey.runs.values()):
        out.print()
        out.print(runs)
    if status.prune:
        listed = ", ".join(f"{kind} {in_units(size)}" for kind, size in status.prune.items())
        out.print(
            f"\n`gr00t-assets store prune` would free {in_units(status.prune_bytes)}: {listed}",
            highlight=False,
            soft_wrap=True,
        )
    else:
        out.print("\nthere is nothing to prune", highlight=False)
