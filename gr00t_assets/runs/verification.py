"""``store verify``: everything in a store against what is recorded of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.project import Store
from gr00t_assets.core.verification import Damage, Tally, put_aside
from gr00t_assets.datasets.damage import data_damage
from gr00t_assets.runs.damage import run_damage


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        aside: What a repair did with each damage that can be made anew, by its path: why it was
            left, or None where it was moved aside.
    """

    root: Path
    damages: tuple[Damage, ...]
    tally: Tally
    aside: dict[Path, str | None]

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged any more that anything would use."""
        return all(
            self.is_aside(damage) or (damage.harmless and not damage.moved)
            for damage in self.damages
        )

    def is_aside(self, damage: Damage) -> bool:
        """Whether a damaged thing was moved aside."""
        return damage.path in self.aside and self.aside[damage.path] is None

    def to_do(self, damage: Damage) -> str:
        """The one thing to do about a damage by now."""
        if self.is_aside(damage):
            again = f"make it anew: {damage.command}" if damage.command else "nothing needs it"
            return f"was moved aside; {again}"
        if refusal := self.aside.get(damage.path):
            return refusal
        return damage.remedy

    def shown(self, path: Path) -> str:
        """A path as the store has it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "ok": self.ok,
            "files": self.tally.files,
            "bytes": self.tally.bytes,
            "without_checksum": dict(self.tally.unrecorded),
            "in_use": [self.shown(path) for path in self.tally.in_use],
            "damaged": [
                {
                    "kind": damage.kind,
                    "path": self.shown(damage.path),
                    "found": damage.found,
                    "remedy": self.to_do(damage),
                    "harmless": damage.harmless,
                    "moved_aside": self.is_aside(damage),
                }
                for damage in self.damages
            ],
        }


def verify_store(store: Store, repair: bool = False) -> Verification:
    """Read everything in a store; with ``repair`` move aside what can be made anew.

    Raises:
        StoreError: There is no store, it cannot be read, or it is to be repaired and cannot be
            written.
    """
    if not store.root.is_dir():
        raise StoreError(str(store.root), "there is no store.", ["GR00T_ASSETS_STORE names it"])
    tally = Tally()
    try:
        damages = (*data_damage(store, tally), *run_damage(store, tally))
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}."
        raise StoreError(error.filename or str(store.root), problem, ["mend that first"]) from error
    aside = put_aside(damages, store.root) if repair else []
    outcomes = {damage.path: refusal for damage, refusal in aside}
    return Verification(store.root, damages, tally, outcomes)
