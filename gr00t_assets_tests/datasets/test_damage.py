"""The complete check of a store's data, and its repair."""

from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.checksums import Damage, Tally, put_aside
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.damage import data_damage
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache import PreparedFrames
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.sources.versions import DatasetRecord
from gr00t_assets.modality.camera_images import ImageRecipe
from gr00t_assets_tests.small_dataset import small_dataset

ENTRY = CatalogEntry.model_validate(small_dataset(2, name="small"))


def make(store: Store) -> DatasetRecord:
    """Everything that is made of the dataset, or what of it is not there."""
    record = ingest_dataset(ENTRY, store)
    config = build_modality_config(ENTRY, store)
    dataset = LeRobotDataset.open(record.directory(store), "small")
    cache = store.frame_cache("small", record.version)
    build_frame_cache(dataset, dataset.cameras, cache)
    PreparedFrames.open(cache, config, ImageRecipe(28))
    return record


def damage_of(store: Store) -> list[Damage]:
    return list(data_damage(store, Tally()))


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def made(store: Store) -> tuple[Store, DatasetRecord]:
    return store, make(store)


def test_what_is_sound_is_counted_and_older_files_are_named(
    made: tuple[Store, DatasetRecord],
) -> None:
    store, record = made
    tally = Tally()
    assert list(data_damage(store, tally)) == []
    assert not tally.unrecorded and tally.bytes > record.size_bytes
    for name in ("checksums.json", "*.files.json"):
        next(store.root.rglob(name)).unlink()
    config = store.modality_config("small")
    lines = config.read_text().splitlines()
    (checksum,) = [number for number, line in enumerate(lines) if '"checksum"' in line]
    before = lines[checksum - 1].rstrip(",")
    config.write_text("\n".join([*lines[: checksum - 1], before, *lines[checksum + 1 :]]))
    tally = Tally()
    assert list(data_damage(store, tally)) == []
    assert tally.unrecorded == {"frame cache": 1, "modality config": 1}
    assert store.dataset_files("small", record.version).is_file(), "hashed to its version"


def test_what_can_be_made_anew_is_moved_aside_and_made_anew(
    made: tuple[Store, DatasetRecord],
) -> None:
    store, record = made
    sound = {path: path.read_bytes() for path in store.root.rglob("*.npy")}
    cache = store.frame_cache("small", record.version)
    flip_last_byte(next(cache.glob("[!.]*/frames.npy")))
    flip_last_byte(next(cache.glob(".prepared-*/*.npy")))
    flip_last_byte(store.dataset_scan("small", record.version))
    config = store.modality_config("small")
    config.write_text(config.read_text().replace('"min": [', '"min":  [').replace("0.1", "0.2"))
    found = {damage.kind: damage for damage in damage_of(store)}
    assert set(found) == {"frame cache", "prepared frames", "scan", "modality config"}
    assert found["frame cache"].command == materialize_command("frame_cache", "small")
    assert found["modality config"].command == materialize_command("modality_config", "small")
    outcomes = put_aside(found.values(), store.root)
    assert [damage.aside for damage in outcomes] == [True] * 4
    assert damage_of(store) == []
    make(store)
    assert damage_of(store) == []
    assert {path: path.read_bytes() for path in sound} == sound


def test_a_dataset_stays_until_its_source_has_given_it_again(
    made: tuple[Store, DatasetRecord],
) -> None:
    store, record = made
    rows = next(record.directory(store).rglob("*.parquet"))
    flip_last_byte(rows)
    (record.directory(store) / "meta" / "notes.txt").write_text("added")
    (damage,) = damage_of(store)
    assert (damage.kind, damage.moved) == ("dataset", ())
    assert f"{rows.name}: its content has changed" in damage.found
    assert "meta/notes.txt: was added" in damage.found
    assert damage.remedy.endswith(materialize_command("dataset", "small"))
    assert ingest_dataset(ENTRY, store) == record
    assert damage_of(store) == []


def test_an_earlier_version_is_not_said_to_come_back(made: tuple[Store, DatasetRecord]) -> None:
    store, record = made
    source = ENTRY.source.model_copy(update={"seed": 5})
    ingest_dataset(ENTRY.model_copy(update={"source": source}), store)
    flip_last_byte(next(record.directory(store).rglob("*.mp4")))
    (damage,) = damage_of(store)
    assert "it is not the current version" in damage.remedy


def test_frames_are_read_one_by_one(made: tuple[Store, DatasetRecord]) -> None:
    store, _ = made
    file = next(store.root.rglob("frames.npy"))
    frames = np.load(file, mmap_mode="r+")
    frames[[3, 7, 8, 20, 30]] ^= 1
    frames.flush()
    (damage,) = damage_of(store)
    assert damage.found == "5 frames are not as they were decoded: 3; 7; 8; 20; and 1 more"
