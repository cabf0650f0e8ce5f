"""The runs and promoted models of a store, every file against what is recorded of it.

This is the complete check of ``gr00t-assets store verify``; whoever uses a file looks at that one.
"""

from collections.abc import Iterator
from pathlib import Path

from gr00t_assets.core.checksums import changed_files, is_sealed, read_sealed
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import inner_folders, read_objects
from gr00t_assets.core.processes import is_locked
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.core.verification import Damage, Tally, listed
from gr00t_assets.experiments.registry import trainer_names
from gr00t_assets.runs.checkpoint_layout import StoredCheckpoint, stored_checkpoints
from gr00t_assets.runs.checkpoint_record import damaged_files, read_checkpoint
from gr00t_assets.runs.manifest import ATTEMPTS, MANIFEST, Manifest, load_manifest
from gr00t_assets.runs.metrics import METRICS, missing_losses, read_metrics
from gr00t_assets.runs.model_files import PROMOTION, metrics_problem, model_hashes, recorded_hashes
from gr00t_assets.runs.run_directory import LOCK, MODEL
from gr00t_assets.runs.spec import SPEC, load_spec, read_spec_file


def run_damage(store: Store, tally: Tally) -> Iterator[Damage]:
    """What is damaged of the runs and the promoted models in a store.

    A run that trains is left out. What another file of the run gives anew may be moved aside.

    Args:
        tally: Counts what was read.
    """
    for folder in inner_folders(store.root / "runs"):
        damages = [] if is_locked(folder / LOCK) else list(_reading(_Run(folder, tally)))
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
        self._train = materialize_command("checkpoint", folder.parent.name)
        self.anew = f"move {folder} away and train it again: {self._train}"
        self._manifest: Manifest | None = None
        self._max_steps: int | None = None
        self._losses_are_whole = False

    def damages(self) -> Iterator[Damage]:
        """Everything that is wrong with it; records first, by which the others are judged."""
        yield from self._spec()
        unreadable = self._read_manifest()
        yield from self._metrics()
        sound, damaged = self._checkpoints()
        rebuilt = self._rebuilt(sound)
        if unreadable:
            yield self._damage("manifest", MANIFEST, unreadable, *rebuilt)
        if changed := self._changed_model():
            yield self._damage("model", MODEL, listed(changed), *rebuilt)
        for item, found in damaged:
            older = any(other.step < item.step for other in sound)
            over = self._manifest is not None and self._manifest.status == "finished"
            movable = (item.path,) if older or over else ()
            remedy = f"move {item.path} away; " + (
                "the run is finished and does not need it"
                if over
                else f"training then goes on from {'the one before' if older else 'the start'}: "
                f"{self._train}"
            )
            yield self._damage("checkpoint", item.path.name, found, movable, remedy).model_copy(
                update={"path": item.path, "command": self._train if older and not over else ""}
            )
        yield from self._evaluations()
        yield from self._attempts()

    def _spec(self) -> Iterator[Damage]:
        path, expected = self.folder / SPEC, (self.folder.parent.name, self.folder.name)
        if not path.exists():
            return
        try:
            raw = read_spec_file(path)
            experiment = raw["experiment"]
            if experiment["trainer"] in trainer_names():  # another one's cannot be read here
                load_spec(path)
            stated = experiment["name"], raw["config_hash"]
            self._max_steps = int(experiment["hyperparameters"]["max_steps"])
            found = None if stated == expected else f"it is of {' '.join(map(str, stated))}"
        except Gr00tAssetsError as error:
            found = _line(error)
        except (LookupError, TypeError, ValueError):
            found = "this is not a training spec"
        if found:
            yield self._damage("spec", SPEC, found)
        self._tally.compared(path)

    def _read_manifest(self) -> str | None:
        path, stated = self.folder / MANIFEST, (self.folder.parent.name, self.folder.name)
        try:
            self._manifest = manifest = load_manifest(self.folder)
        except Gr00tAssetsError as error:
            return _line(error)
        if manifest and (manifest.experiment, manifest.config_hash) != stated:
            return f"it is of {manifest.experiment} {manifest.config_hash}"
        if manifest:
            self._tally.read(path, "manifest", is_sealed(path))
        return None

    def _metrics(self) -> Iterator[Damage]:
        path, manifest = self.folder / METRICS, self._manifest
        over = manifest is not None and manifest.status == "finished"
        if not path.exists() and not over:
            return
        found = manifest and metrics_problem(manifest, self.folder)
        lost = missing_losses(
            read_metrics(self.folder), manifest.steps if manifest and over else None
        )
        self._losses_are_whole = not (found or lost)
        if found or lost:
            text = "; ".join(filter(None, [found, lost]))
            kept = "its loss stays, which the manifest has; for the curve " if over else ""
            yield self._damage("metrics", METRICS, text, remedy=kept + self.anew)
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
            except (OSError, ValueError) as error:
                damaged.append((item, f"its record cannot be read: {_line(error)}"))
                continue
            for name, file in record.files.items():
                self._tally.read(item.path / name, "checkpoint", file.crc32 is not None)
            if found:
                damaged.append((item, listed(found)))
            elif item.complete:
                sound.append(item)
        return sound, damaged

    def _rebuilt(self, sound: list[StoredCheckpoint]) -> tuple[tuple[Path, ...], str]:
        """What is moved aside for manifest and model to be made from the last checkpoint."""
        last = any(item.step == self._max_steps for item in sound)
        if not (last and self._losses_are_whole):
            return (), self.anew
        paths = tuple(self.folder / name for name in (MANIFEST, MODEL))
        remedy = f"move {' and '.join(map(str, paths))} away, then: {self._train}"
        return paths, f"{remedy}, which makes them from its last checkpoint"

    def _evaluations(self) -> Iterator[Damage]:
        for path in sorted(self.folder.glob("evaluation*.json")):
            command = f"gr00t-assets evaluate {self.folder}"
            try:
                read_sealed(path)
            except (OSError, ValueError) as error:
                found, remedy = _line(error), f"move it away, then: {command}"
                yield self._damage("evaluation", path.name, found, (path,), remedy).model_copy(
                    update={"command": command}
                )
                continue
            self._tally.read(path, "evaluation", is_sealed(path))

    def _attempts(self) -> Iterator[Damage]:
        path = self.folder / ATTEMPTS
        lines = [line for line in path.read_bytes().split(b"\n") if line] if path.is_file() else []
        if lost := len(lines) - len(read_objects(path)):
            found = f"{lost} of {len(lines)} lines cannot be read"
            remedy = "nothing: they are passed over; the manifest has the number of attempts"
            damage = self._damage("attempts", ATTEMPTS, found, remedy=remedy)
            yield damage.model_copy(update={"harmless": True})

    def _damage(
        self, kind: str, name: str, found: str, moved: tuple[Path, ...] = (), remedy: str = ""
    ) -> Damage:
        return Damage(
            kind=kind,
            path=self.folder / name,
            found=found,
            remedy=remedy or self.anew,
            moved=moved,
            command=self._train if moved else "",
            lock=self.folder / LOCK,
        )


def _reading(run: _Run) -> Iterator[Damage]:
    """The damages of a run, one of them that it cannot be read at all."""
    try:
        yield from run.damages()
    except OSError as error:
        yield Damage(kind="run", path=run.folder, found=_line(error), remedy=run.anew)


def _promoted(folder: Path, tally: Tally) -> Iterator[Damage]:
    command = f"gr00t-assets model promote {folder.parent.name}"
    if not (folder / PROMOTION).is_file():
        return
    try:
        recorded = recorded_hashes(folder)
        found = listed(changed_files(folder, recorded))
        for name in recorded:
            tally.compared(folder / name)
        tally.read(folder / PROMOTION, "promotion", is_sealed(folder / PROMOTION))
    except (Gr00tAssetsError, OSError) as error:
        found = _line(error)
    if found:
        yield Damage(
            kind="promoted model",
            path=folder,
            found=found,
            remedy=f"move it away, then: {command}",
            moved=(folder,),
            command=command,
        )


def _line(error: Exception) -> str:
    """What is wrong, in a line, without the remedy of another command."""
    if isinstance(error, Gr00tAssetsError):
        return " ".join(f"{error.problem} {' '.join(error.details[:1])}".split())
    return " ".join(str(error).split())
