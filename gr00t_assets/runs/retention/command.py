"""The commands ``gr00t-assets store status`` and ``store prune``, as a terminal shows them."""

import sys
from collections.abc import Callable

from gr00t_assets.comparison.console import console
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.core.units import in_units
from gr00t_assets.runs.retention.disk_use import freed, taken
from gr00t_assets.runs.retention.plan import Choices, PrunePlan, plan_prune
from gr00t_assets.runs.retention.prune import Pruned, carry_out
from gr00t_assets.runs.retention.removal import Removal
from gr00t_assets.runs.retention.rule import load_rule
from gr00t_assets.runs.retention.status import print_status, project_current, store_status


def run_status(as_json: bool) -> int:
    """Print what is in the store.

    Returns:
        The exit code, 0.
    """
    status = store_status(Store.from_environment())
    if as_json:
        sys.stdout.write(status.model_dump_json(indent=2) + "\n")
    else:
        print_status(status, console())
    return 0


def run_prune(choices: Choices, dry_run: bool, agreed: Callable[[str], bool]) -> int:
    """Print what would be deleted, ask, and delete it.

    Args:
        choices: What is to go besides what always does.
        dry_run: Print only.
        agreed: Asks a person a question.

    Returns:
        The exit code: 0; 1 where the answer was no, or something could not be deleted.
    """
    store = Store.from_environment()
    plan = plan_prune(store, project_current(store), load_rule(), choices)
    _print_plan(plan, store)
    if not plan.removals or dry_run:
        return 0
    if not agreed(f"Delete these {len(plan.removals)}?"):
        _say("nothing was deleted")
        return 1
    done = carry_out(plan, store, lambda pruned: _print_kept(pruned, store))
    size = sum(pruned.size for pruned in done)
    gone = sum(pruned.kept is None for pruned in done)
    _say(f"deleted {gone}, freed {in_units(size)}; {in_units(free_bytes(store.root))} are free")
    return 0 if gone == len(done) else 1


def _print_plan(plan: PrunePlan, store: Store) -> None:
    for removal in plan.removals:
        for path in removal.paths:
            size = taken([path])
            where = path.relative_to(store.root)
            _say(f"{in_units(size):>9}  {removal.kind:<15}  {where}  ({removal.why})")
    for path, reason in plan.kept:
        _say(f"{'':>9}  {'kept':<15}  {path.relative_to(store.root)}  ({reason})")
    if not plan.removals:
        return _say("there is nothing to prune")
    size = freed([path for removal in plan.removals for path in removal.paths])
    _say(f"{in_units(size)} would be free afterwards, by {len(plan.removals)} deletions")
    for note in _notes(plan.removals):
        _say(note)


def _notes(removals: tuple[Removal, ...]) -> list[str]:
    kinds = {removal.kind for removal in removals}
    notes = []
    if "optimizer state" in kinds:
        notes.append(
            "without optimizer state a run cannot be named in continue_from any more: name it "
            "before, or set optimizer_state: keep in data/retention.yaml"
        )
    return notes


def _print_kept(pruned: Pruned, store: Store) -> None:
    if pruned.kept is not None:
        _say(f"kept: {pruned.removal.path.relative_to(store.root)}: {pruned.kept}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
