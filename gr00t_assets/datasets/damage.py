"""Every file of a store's data against what is recorded of it, for ``store verify``."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gr00t_assets.core.checksums import Damage, Tally, listed, read_sealed
from gr00t_assets.core.files import LARGEST_LIST, folders
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.core.text import name_problem
from gr00t_assets.datasets.frames import frame_index
from gr00t_assets.datasets.frames.frame_cache import PREPARED, damaged_prepared
from gr00t_assets.datasets.sources import versions
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.frame_check_result import load_frame_check


def data_damage(store: Store, tally: Tally) -> Iterator[Damage]:
    """What is damaged of the datasets, modality configs and frames in a store; every file is read.

    Nothing of a dataset is to be moved aside, since its source may be gone: what is taken anew
    replaces it. All else can be made anew from the dataset. OSError where a file cannot be read.
    """
    for folder in _folders(store.root / "datasets"):
        name = folder.name
        take, check = (materialize_command(asset, name) for asset in ("dataset", "modality_config"))
        if (file := store.dataset_record(name)).is_file():
            load = partial(versions.load_record, name, store)
            yield from tally.load("dataset record", file, load, take)
        if (file := folder / "origin.json").is_file():
            yield from tally.load("dataset record", file, partial(read_sealed, file), take)
        for file in sorted(folder.glob("[!.]*.scan.json")):
            yield from tally.load("scan", file, partial(read_sealed, file, LARGEST_LIST), check)
        for version in _folders(folder):
            yield from _version(name, version, store, tally)
    for file in sorted((store.root / "modality_configs").glob("[!.]*.json")):
        load = partial(load_modality_config, file.stem, store)
        check = materialize_command("modality_config", file.stem)
        yield from tally.load("modality config", file, load, check)
    for folder in _folders(store.root / "frame_caches"):
        command = materialize_command("frame_cache", folder.name)
        for cache in _folders(folder):
            for sized in (cache, *_folders(cache)):
                yield from _frames(sized, command, folder / f".{cache.name}.lock", tally)
                yield from _prepared(sized, tally)
        for file in sorted(folder.glob("[!.]*.frames.json")):
            yield from tally.load("frame check", file, partial(load_frame_check, file), command)


def _version(name: str, version: Path, store: Store, tally: Tally) -> Iterator[Damage]:
    lock, hashes = version.parent / ".lock", store.dataset_files(name, version.name)
    changed = versions.changed_version_files(name, version.name, store)
    for file in versions.content_files(version):
        tally.read(version / file)
    if hashes.is_file() and versions.recorded_files(name, version.name, store) is None:
        command, found = materialize_command("dataset", name), "it does not give the version's name"
        yield Damage("dataset record", hashes, found, command, (hashes,), command, lock)
    if changed:
        remedy = versions.remedy_of_damage(name, version.name, store)
        yield Damage("dataset", version, listed(changed), remedy, lock=lock)


def _frames(folder: Path, command: str, lock: Path, tally: Tally) -> Iterator[Damage]:
    """The cameras of a frame cache, of one size."""
    for camera, index in frame_index.read_indices(folder).items():
        place = folder / camera
        found = "it is damaged, or of an older form" if index is None else _of_array(place)
        if found:
            remedy = f"decode it anew: {command}"
            yield Damage("frame cache", place, found, remedy, (place,), command, lock)
            continue
        recorded = (place / frame_index.CHECKSUMS).is_file()
        tally.read(place / frame_index.FRAMES, "frame cache", recorded)
        for name in (frame_index.INDEX, frame_index.TIMES) if recorded else ():
            tally.read(place / name)


def _prepared(folder: Path, tally: Tally) -> Iterator[Damage]:
    for prepared in sorted(folder.glob(f"{PREPARED}*")):
        arrays = sorted(prepared.glob("*.npy"))
        if arrays and not any(prepared.glob("*.json")):
            tally.read(prepared, "prepared frames", recorded=False)
            continue
        damaged = listed([array.name for array in arrays if damaged_prepared(array)])
        if damaged or not arrays:
            found = f"{damaged or 'it is empty'}: damaged"
            remedy = "nothing: the next training that needs them makes them anew"
            yield Damage("prepared frames", prepared, found, remedy, (prepared,), harmless=True)
        for array in arrays:
            tally.read(array)


def _of_array(place: Path) -> str | None:
    """What is wrong with the frames of a camera."""
    try:
        rows = list(frame_index.damaged_frames(place))
    except ValueError:
        return f"{frame_index.CHECKSUMS} is damaged"
    if not rows:
        return None
    if rows == [frame_index.HEAD]:
        return f"the head of {frame_index.FRAMES} is not as it was written"
    return f"{len(rows)} frames are not as they were decoded: {listed(list(map(str, rows)))}"


def _folders(place: Path) -> list[Path]:
    """Folders that the platform may have made; one of another name is left alone."""
    return [path for path in folders(place) if not name_problem(path.name)]
