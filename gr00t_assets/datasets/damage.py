"""The data of a store, every file against what is recorded of it.

This is the complete check of ``gr00t-assets store verify``; a training looks at what it reads.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from gr00t_assets.core.checksums import is_sealed, read_sealed
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import folders
from gr00t_assets.core.names import name_problem
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.core.verification import Damage, Tally, listed
from gr00t_assets.datasets.frames.frame_checksums import CHECKSUMS, FRAMES, HEAD, damaged_frames
from gr00t_assets.datasets.frames.frame_index import INDEX, TIMES, read_indices
from gr00t_assets.datasets.frames.prepared_frames import PREPARED, damaged_prepared
from gr00t_assets.datasets.record import load_record
from gr00t_assets.datasets.sources.content import content_files
from gr00t_assets.datasets.sources.version_files import (
    changed_version_files,
    recorded_files,
    remedy_of_damage,
)
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.frame_check_result import load_frame_check


def data_damage(store: Store, tally: Tally) -> Iterator[Damage]:
    """What is damaged of the datasets, modality configs and frames in a store.

    Nothing of a dataset is to be moved aside, since its source may be gone: what is taken anew
    replaces it. All else can be made anew from the dataset.

    Args:
        tally: Counts what was read.

    Raises:
        OSError: A file cannot be read.
    """
    for folder in _folders(store.root / "datasets"):
        yield from _dataset(folder, store, tally)
    for file in sorted((store.root / "modality_configs").glob("[!.]*.json")):
        command = materialize_command("modality_config", file.stem)
        load = _reading(load_modality_config, file.stem, store)
        yield from _record(file, "modality config", command, load, tally)
    for folder in _folders(store.root / "frame_caches"):
        command = materialize_command("frame_cache", folder.name)
        for cache in _folders(folder):
            lock = folder / f".{cache.name}.lock"
            yield from _frames(cache, command, lock, tally)
        for file in sorted(folder.glob("[!.]*.frames.json")):
            load = _reading(load_frame_check, file)
            yield from _record(file, "frame check", command, load, tally)


def _dataset(folder: Path, store: Store, tally: Tally) -> Iterator[Damage]:
    name, lock = folder.name, folder / ".lock"
    command = materialize_command("dataset", name)
    if (record := store.dataset_record(name)).is_file():
        load = _reading(load_record, name, store)
        yield from _record(record, "dataset record", command, load, tally)
    if (origin := folder / "origin.json").is_file():
        yield from _record(origin, "dataset record", command, _reading(read_sealed, origin), tally)
    check = materialize_command("modality_config", name)
    for scan in sorted(folder.glob("[!.]*.scan.json")):
        yield from _record(scan, "scan", check, _reading(read_sealed, scan), tally)
    for version in _folders(folder):
        known = recorded_files(name, version.name, store) is not None
        changed = changed_version_files(name, version.name, store)
        for file in content_files(version):
            tally.compared(version / file)
        hashes = store.dataset_files(name, version.name)
        if not known and hashes.is_file() and recorded_files(name, version.name, store) is None:
            found = "it does not give the name of the version"
            yield Damage(
                kind="dataset record", path=hashes, found=found, remedy=command, moved=(hashes,),
                command=command, lock=lock,
            )  # fmt: skip
        if changed:
            yield Damage(
                kind="dataset",
                path=version,
                found=listed(changed),
                remedy=remedy_of_damage(name, version.name, store),
                lock=lock,
            )


def _record(
    file: Path, kind: str, command: str, problem: Callable[[], str | None], tally: Tally
) -> Iterator[Damage]:
    """A JSON file that can be written anew."""
    if found := problem():
        yield Damage(
            kind=kind,
            path=file,
            found=found,
            remedy=f"write it anew: {command}",
            moved=(file,),
            command=command,
        )
    else:
        tally.read(file, kind, is_sealed(file))


def _frames(cache: Path, command: str, lock: Path, tally: Tally) -> Iterator[Damage]:
    """The cameras of a frame cache, those of each size, and the prepared frames among them."""
    for folder in (cache, *_folders(cache)):
        for camera, index in read_indices(folder).items():
            place = folder / camera
            found = "it is damaged, or of an older form" if index is None else _of_array(place)
            if found:
                yield Damage(
                    kind="frame cache",
                    path=place,
                    found=found,
                    remedy=f"decode it anew: {command}",
                    moved=(place,),
                    command=command,
                    lock=lock,
                )
            elif not (place / CHECKSUMS).is_file():
                tally.unrecorded["frame cache"] += 1
            else:
                for name in (FRAMES, INDEX, TIMES):
                    tally.compared(place / name)
        for prepared in sorted(folder.glob(f"{PREPARED}*")):
            arrays = sorted(prepared.glob("*.npy"))
            if arrays and not any(prepared.glob("*.json")):
                tally.unrecorded["prepared frames"] += 1
                continue
            damaged = [array.name for array in arrays if damaged_prepared(array)]
            if damaged or not arrays:
                yield Damage(
                    kind="prepared frames",
                    path=prepared,
                    found=f"{listed(damaged) or 'it is empty'}: damaged",
                    remedy="nothing: the next training that needs them makes them anew",
                    harmless=True,
                    moved=(prepared,),
                )
            for array in arrays:
                tally.compared(array)


def _of_array(place: Path) -> str | None:
    """What is wrong with the frames of a camera."""
    try:
        rows = list(damaged_frames(place))
    except ValueError:
        return f"{CHECKSUMS} is damaged"
    if not rows:
        return None
    if rows == [HEAD]:
        return f"the head of {FRAMES} is not as it was written"
    return f"{len(rows)} frames are not as they were decoded: {listed(list(map(str, rows)))}"


def _reading(load: Callable[..., object], *arguments: object) -> Callable[[], str | None]:
    """Tells why a file cannot be read, in a line."""

    def problem() -> str | None:
        try:
            load(*arguments)
        except (Gr00tAssetsError, ValueError) as error:
            return " ".join(str(error).split())
        return None

    return problem


def _folders(place: Path) -> list[Path]:
    """Folders that the platform may have made; one of another name is left alone."""
    return [path for path in folders(place) if not name_problem(path.name)]
