"""Data that changed in the store since it was made: no training and no evaluation takes it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.evaluation.open_loop import evaluate_run
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.runs.training_data import check_stored_data
from gr00t_assets_tests.trainers.conftest import ENTRY, SpecMaker, train


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def silently(path: Path, change: Callable[[Path], object]) -> None:
    """Change a file and leave its times as they were, as a disk does."""
    times = path.stat()
    change(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def negate_actions(path: Path) -> None:
    table = pq.read_table(path)
    place = table.schema.get_field_index("action")
    actions = -np.array(table["action"].to_pylist(), dtype=np.float32)
    column = pa.array(actions.tolist(), type=table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), column), path)


def zero_frames(path: Path) -> None:
    frames = np.load(path, mmap_mode="r+")
    frames[len(frames) // 2 :] = 0
    frames.flush()


def frames_of(spec: TrainingSpec) -> Path:
    return next(spec.datasets[0].frame_cache.rglob("frames.npy"))


def test_negated_actions_are_not_trained_on(spec_of: SpecMaker) -> None:
    spec = spec_of()
    dataset = spec.datasets[0]
    rows = dataset.directory / "data" / "chunk-000" / "episode_000001.parquet"
    sound = rows.read_bytes()
    silently(rows, negate_actions)
    outcome = train(spec)
    assert outcome.returncode == 1
    assert f"files of version {dataset.version} in the store are not as they were taken" in (
        outcome.stderr
    )
    assert "episode_000001.parquet: its content has changed" in outcome.stderr
    assert materialize_command("dataset", "small") in outcome.stderr
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None and manifest.status == "failed"
    assert ingest_dataset(ENTRY, dataset.store).version == dataset.version
    assert rows.read_bytes() == sound
    assert train(spec).returncode == 0


@pytest.mark.parametrize("augmentation", ["none", "gr00t"])
def test_zeroed_frames_are_not_trained_on(spec_of: SpecMaker, augmentation: str) -> None:
    spec = spec_of(augmentation=augmentation)
    dataset, frames = spec.datasets[0], frames_of(spec)
    sound = frames.read_bytes()
    silently(frames, zero_frames)
    outcome = train(spec)
    assert outcome.returncode == 1
    assert "its frame cache is damaged" in outcome.stderr
    assert materialize_command("frame_cache", "small") in outcome.stderr
    source = LeRobotDataset.open(dataset.directory, "small")
    assert build_frame_cache(source, source.cameras, dataset.frame_cache).decoded == 2
    assert frames.read_bytes() == sound
    assert train(spec).returncode == 0


def test_one_bad_frame_that_no_sample_met_ends_the_training_that_reads_it(
    spec_of: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gr00t_assets.runs.training_data.SAMPLE_SECONDS", 0.0)
    spec = spec_of(augmentation="gr00t", max_steps=60, save_steps=60)
    silently(frames_of(spec), zero_frames)
    outcome = train(spec)
    assert outcome.returncode == 1
    assert "its frame cache is damaged" in outcome.stderr


def test_a_finished_model_is_not_evaluated_on_them(spec_of: SpecMaker) -> None:
    spec = spec_of()
    assert train(spec).returncode == 0
    silently(frames_of(spec), zero_frames)
    with pytest.raises(DatasetError, match="its frame cache is damaged"):
        evaluate_run(spec.run_directory)


def test_what_an_older_store_has_no_checksums_of_is_taken_and_said(spec_of: SpecMaker) -> None:
    spec = spec_of()
    dataset = spec.datasets[0]
    frames_of(spec).with_name("checksums.json").unlink()
    hashes = Store(Path(spec.store)).dataset_files("small", dataset.version)
    hashes.unlink()
    said: list[str] = []
    check_stored_data(spec.data, said.append)
    assert said == [
        f"all files of small are those of version {dataset.version}",
        "the frame cache of small has no checksums of observation.images.ego_view",
    ]
    assert hashes.is_file(), "hashed once"
    hashes.unlink()
    silently(next(dataset.directory.rglob("*.parquet")), negate_actions)
    with pytest.raises(DatasetError, match="one of its 9 files has changed"):
        check_stored_data(spec.data, said.append)


def test_videos_are_looked_at_where_they_are_read(spec_of: SpecMaker) -> None:
    spec = spec_of()
    video = next(spec.datasets[0].directory.rglob("*.mp4"))
    silently(video, lambda path: path.write_bytes(bytes(path.stat().st_size)))
    check_stored_data(spec.data, print)
    with pytest.raises(DatasetError, match=rf"{video.name}: its content has changed"):
        check_stored_data(spec.data, print, from_videos=True)
