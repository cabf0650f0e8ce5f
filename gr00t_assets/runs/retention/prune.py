"""Pruning: each thing is deleted under its lock, after another look at whether it still may be."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.runs.retention.disk_use import freed
from gr00t_assets.runs.retention.in_use import alone_with, users
from gr00t_assets.runs.retention.plan import PrunePlan, is_finished
from gr00t_assets.runs.retention.removal import Removal


@dataclass(frozen=True)
class Pruned:
    """What became of one removal.

    Attributes:
        removal: What was to go.
        size: Bytes freed; 0 where it is still there.
        kept: Why it is still there; None where it is gone.
    """

    removal: Removal
    size: int
    kept: str | None = None


def carry_out(
    plan: PrunePlan, store: Store, tell: Callable[[Pruned], object] = lambda done: None
) -> list[Pruned]:
    """Delete what a plan names.

    What somebody has begun to use since is left alone, and so is a run that is no longer finished
    and of which only surplus was to go. A kill at any instant leaves nothing that looks complete
    and is not.

    Args:
        plan: What to delete.
        store: Where; nothing outside is touched.
        tell: Told of each as it is done.
    """
    done = []
    for removal in plan.removals:
        pruned = _carry_out(removal, store.root)
        tell(pruned)
        done.append(pruned)
    return done


def _carry_out(removal: Removal, root: Path) -> Pruned:
    with alone_with(removal.lock) as free:
        if not free:
            return Pruned(removal, 0, "a process uses it")
        if removal.kind == "frame cache" and users(removal.path):
            return Pruned(removal, 0, "a process has it open")
        if removal.of_finished and removal.lock and not is_finished(removal.lock):
            return Pruned(removal, 0, "its run is not finished any more")
        size = freed(removal.paths)
        try:
            removal.carry_out(root)
        except Gr00tAssetsError as error:
            return Pruned(removal, 0, error.problem)
    return Pruned(removal, size)
