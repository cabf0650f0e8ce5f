"""``store verify``: everything in a store, every file against what is recorded of it.

This is the complete check; whoever uses a file looks at that one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gr00t_assets.core.checksums import (
    Damage,
    Tally,
    changed_files,
    is_sealed,
    listed,
    one_line,
    put_aside,
    read_sealed,
    unread,
)
from gr00t_assets.core.errors import (
    CheckpointError,
    Gr00tAssetsError,
    StoreError,
    system_errors_explained,
)
from gr00t_assets.core.files import inner_folders, read_limited, read_objects
from gr00t_assets.core.processes import is_locked
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.datasets.damage import data_damage
from gr00t_assets.experiments.registry import trainer_names
from gr00t_assets.runs.checkpoint_choice import EVALUATIONS, OF_CHECKPOINT
from gr00t_assets.runs.checkpoint_layout import (
    PROMOTION,
    StoredCheckpoint,
    damaged_files,
    metrics_problem,
    model_hashes,
    read_checkpoint,
    recorded_hashes,
    stored_checkpoints,
)
from gr00t_assets.runs.manifest import ATTEMPTS, MANIFEST, Manifest, load_manifest
from gr00t_assets.runs.metrics import METRICS, missing_losses, read_metrics
from gr00t_assets.runs.run_directory import LOCK, MODEL
from gr00t_assets.runs.spec import SPEC, load_spec, read_spec_file


@dataclass(frozen=True)
class Verification:
    """What was found in the store at ``root``."""

    root: Path
    damages: tuple[Damage, ...]
    tally: Tally

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged any more that anything would use."""
        return all(item.aside or (item.harmless and not item.moved) for item in self.damages)

    def shown(self, path: Path) -> str:
        """A path as the store has it."""
        return str(path.relative_to(self.root))

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "ok": self.ok,
            "files": self.tally.files,
            "bytes": self.tally.bytes,
            "without_checksum": dict(self.tally.unrecorded),
            "in_use": [self.shown(path) for path in self.tally.in_use],
            "damaged": [
                {name: getattr(damage, name) for name in ("kind", "found", "remedy", "harmless")}
                | {"path": self.shown(damage.path), "moved_aside": damage.aside}
                for damage in self.damages
            ],
        }


def verify_store(store: Store, repair: bool = False) -> Verification:
    """Read everything in a store; with ``repair`` move aside what can be made anew.

    Raises:
        StoreError: There is no store, or it cannot be read.
        OSError: It is to be repaired and cannot be written.
    """
    if not store.root.is_dir():
        raise StoreError(str(store.root), "there is no store.", ["GR00T_ASSETS_STORE names it"])
    tally = Tally()
    try:
        with system_errors_explained(store.root):
            damages = (*data_damage(store, tally), *run_damage(store, tally))
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}."
        raise StoreError(error.filename or str(store.root), problem, ["mend that first"]) from error
    return Verification(store.root, put_aside(damages, store.root) if repair else damages, tally)


def run_damage(store: Store, tally: Tally) -> Iterator[Damage]:
    """What is damaged of the runs and the promoted models in a store.

    A run that trains is left out. What another file of the run gives anew may be moved aside.
    """
    for folder in inner_folders(store.root / "runs"):
        damages = [] if is_locked(folder / LOCK) else list(_Run(folder, tally).damages())
        if is_locked(folder / LOCK):  # also one that began to train while its files were read
            tally.in_use.append(folder)
        else:
            yield from damages
    for folder in inner_folders(store.root / "models"):
        yield from _promoted(folder, tally)


class _Run:
    """One run directory."""

    def __init__(self, folder: Path, tally: Tally) -> None:
        self.folder, self._tally = folder, tally
        self._stated = folder.parent.name, folder.name
        self._train = materialize_command("checkpoint", folder.parent.name)
        self._anew = f"move {folder} away and train it again: {self._train}"
        self._manifest: Manifest | None = None
        self._max_steps: int | None = None
        self._losses_are_whole = False

    def damages(self) -> Iterator[Damage]:
        """Everything that is wrong with it; records first, by which the others are judged."""
        try:
            yield from self._spec()
            unreadable = self._read_manifest()
            yield from self._metrics()
            sound, damaged = self._checkpoints()
            rebuilt = self._rebuilt(sound)
            if unreadable:
                yield self._damage("manifest", MANIFEST, unreadable, **rebuilt)
            if changed := self._changed_model():
                yield self._damage("model", MODEL, listed(changed), **rebuilt)
            for item, problem in damaged:
                yield self._of_checkpoint(item, problem, sound)
            yield from self._evaluations()
            yield from self._attempts()
        except (OSError, StoreError) as error:
            yield unread("run", self.folder, error, self._anew)

    @property
    def _is_over(self) -> bool:
        return self._manifest is not None and self._manifest.status == "finished"

    def _spec(self) -> Iterator[Damage]:
        path = self.folder / SPEC
        if not path.exists():
            return
        try:
            raw = read_spec_file(path)
            experiment = raw["experiment"]
            if experiment["trainer"] in trainer_names():  # another one's cannot be read here
                load_spec(path)
            stated = experiment["name"], raw["config_hash"]
            self._max_steps = int(experiment["hyperparameters"]["max_steps"])
            found = None if stated == self._stated else f"it is of {' '.join(map(str, stated))}"
        except Gr00tAssetsError as error:
            found = one_line(error)
        except (LookupError, TypeError, ValueError):
            found = "this is not a training spec"
        if found:
            yield self._damage("spec", SPEC, found)
        self._tally.read(path)

    def _read_manifest(self) -> str | None:
        path = self.folder / MANIFEST
        try:
            self._manifest = manifest = load_manifest(self.folder)
        except CheckpointError as error:
            return one_line(error)
        if manifest and (manifest.experiment, manifest.config_hash) != self._stated:
            return f"it is of {manifest.experiment} {manifest.config_hash}"
        if manifest:
            self._tally.read(path, "manifest", is_sealed(path))
        return None

    def _metrics(self) -> Iterator[Damage]:
        path, manifest = self.folder / METRICS, self._manifest
        if not path.exists() and not self._is_over:
            return
        problems = [manifest and metrics_problem(manifest, self.folder)]
        steps = manifest.steps if manifest and self._is_over else None
        try:
            problems.append(missing_losses(read_metrics(self.folder), steps))
        except CheckpointError as error:
            problems = [one_line(error)]
        found = "; ".join(filter(None, problems))
        self._losses_are_whole = not found
        if found:
            kept = "its loss stays, which the manifest has; for the curve " if self._is_over else ""
            yield self._damage("metrics", METRICS, found, remedy=kept + self._anew)
        if path.exists():
            recorded = manifest is not None and METRICS in manifest.files
            self._tally.read(path, "metrics", recorded)

    def _changed_model(self) -> list[str]:
        folder = self.folder / MODEL
        if not folder.is_dir():  # pruned
            return []
        recorded = model_hashes(self._manifest) if self._manifest else {}
        for path in filter(Path.is_file, folder.rglob("*")):
            self._tally.read(path, "model", path.relative_to(folder).as_posix() in recorded)
        return changed_files(folder, recorded)

    def _checkpoints(self) -> tuple[list[StoredCheckpoint], list[tuple[StoredCheckpoint, str]]]:
        """Those that are as they were written, and the others with what is wrong."""
        sound, damaged = [], []
        for item in stored_checkpoints(self.folder):
            if not item.whole:
                continue  # cut short; every training passes it over
            try:
                record = read_checkpoint(item.path)
                found = damaged_files(item.path, record)
            except ValueError as error:
                damaged.append((item, f"its record cannot be read: {one_line(error)}"))
                continue
            for name, file in record.files.items():
                self._tally.read(item.path / name, "checkpoint", file.crc32 is not None)
            if found:
                damaged.append((item, listed(found)))
            elif item.complete:
                sound.append(item)
        return sound, damaged

    def _of_checkpoint(
        self, item: StoredCheckpoint, found: str, sound: list[StoredCheckpoint]
    ) -> Damage:
        older = any(other.step < item.step for other in sound)
        after = f"training then goes on from {'the one before' if older else 'the start'}: "
        after = "the run is finished and does not need it" if self._is_over else after + self._train
        moved = (item.path,) if older or self._is_over else ()
        command = self._train if older and not self._is_over else ""
        remedy = f"move {item.path} away; {after}"
        more = {"remedy": remedy, "moved": moved, "command": command}
        return self._damage("checkpoint", item.path, found, **more)

    def _rebuilt(self, sound: list[StoredCheckpoint]) -> dict[str, Any]:
        """How manifest and model are made from the last checkpoint, where they can be."""
        if not self._losses_are_whole or all(item.step != self._max_steps for item in sound):
            return {}
        paths = self.folder / MANIFEST, self.folder / MODEL
        remedy = f"move {paths[0]} and {paths[1]} away, then: {self._train}"
        remedy += ", which makes them from its last checkpoint"
        return {"moved": paths, "remedy": remedy, "command": self._train}

    def _evaluations(self) -> Iterator[Damage]:
        inner = self.folder.glob(f"{EVALUATIONS}/*.json")
        for path in sorted((*self.folder.glob("evaluation*.json"), *inner)):
            step = path.stem.removeprefix("step-").partition("-")[0]
            at = f"@{int(step)}" if path.parent != self.folder and step.isdecimal() else ""
            command, read = f"gr00t-assets evaluate {self.folder}{at}", partial(read_sealed, path)
            for damage in self._tally.load("evaluation", path, read, command, "move it away, then"):
                yield replace(damage, lock=self.folder / LOCK)

    def _attempts(self) -> Iterator[Damage]:
        path = self.folder / ATTEMPTS
        try:
            lines = list(filter(None, read_limited(path).split(b"\n"))) if path.is_file() else []
            lost = len(lines) - len(read_objects(path))
            found = f"{lost} of {len(lines)} lines cannot be read" if lost else None
        except ValueError as error:
            found = str(error)
        if found:
            remedy = "nothing: they are passed over; the manifest has the number of attempts"
            yield self._damage("attempts", ATTEMPTS, found, remedy=remedy, harmless=True)

    def _damage(self, kind: str, name: str | Path, found: str, **more: Any) -> Damage:
        more = {"remedy": self._anew, "lock": self.folder / LOCK} | more
        return Damage(kind, self.folder / name, found, **more)


def _promoted(folder: Path, tally: Tally) -> Iterator[Damage]:
    record = folder / PROMOTION
    if not record.is_file():
        return
    step = folder.name.partition(OF_CHECKPOINT)[2]
    at = f"@{int(step)}" if step.isdecimal() else ""
    command = f"gr00t-assets model promote {folder.parent.name}{at}"
    remedy = f"move it away, then: {command}"
    try:
        recorded = recorded_hashes(folder)
        found = listed(changed_files(folder, recorded))
        for name in recorded:
            tally.read(folder / name)
        tally.read(record, "promotion", is_sealed(record))
    except CheckpointError as error:
        found = one_line(error)
    except (OSError, StoreError) as error:
        yield unread("promoted model", folder, error, remedy)
        return
    if found:
        yield Damage("promoted model", folder, found, remedy, (folder,), command)
