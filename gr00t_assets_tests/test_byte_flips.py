"""Bytes that change by themselves: whoever uses a file of a store sees it, or is not affected.

A row of ``KINDS`` says how a kind of file is used. A bit is flipped in one of its files, or a part
of it is zeroed, with size and times as they were. Then the use has to fail with an error for people
or give what it gave before, and the complete check has to find it.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from gr00t_assets.core.checksums import Damage, Tally
from gr00t_assets.core.errors import CheckpointError, DatasetError, Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.checks.scan import stored_scan
from gr00t_assets.datasets.damage import data_damage
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache, PreparedFrames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.origin import load_origin
from gr00t_assets.datasets.sources.versions import (
    DatasetRecord,
    check_rows_and_meta,
    load_record,
    require_sound_version,
)
from gr00t_assets.evaluation.open_loop import evaluate_run
from gr00t_assets.evaluation.result import EvaluationSettings, load_evaluation
from gr00t_assets.modality.camera_images import ImageRecipe
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.frame_check_result import load_frame_check
from gr00t_assets.runs.checkpoint_layout import require_unchanged
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets.runs.verification import run_damage
from gr00t_assets.trainers.run_files import latest_record
from gr00t_assets_tests.evaluation.runs import a_store, make_data, make_run

NAME, SIZE = "small", 28


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        files: Pattern below the store.
        use: What is had from them, the same whenever they are.
        every_byte: Whether the complete check finds a change of any byte; in JSON a space more
            changes nothing.
        check: The complete check of such files.
    """

    files: str
    use: Callable[[Store], object]
    every_byte: bool = False
    check: Callable[[Store, Tally], Iterable[Damage]] = data_damage


def record_of(store: Store) -> DatasetRecord:
    """The record as it was when the store was made; that in the store may be damaged."""
    return RECORDS[store.root]


RECORDS: dict[Path, DatasetRecord] = {}


def training_rows(store: Store) -> object:
    record, config = record_of(store), load_modality_config(NAME, store)
    check_rows_and_meta(NAME, record.version, store)
    dataset = LeRobotDataset.open(record.directory(store), NAME)
    frames = FrameCache.open(store.frame_cache(NAME, record.version))
    data = Demonstrations(dataset, frames, config)
    rows = data.rows()
    return data.states(rows).tobytes(), data.actions(rows).tobytes(), data.texts(rows)


def whole_version(store: Store) -> object:
    return require_sound_version(NAME, record_of(store).version, store)


def all_frames(store: Store) -> object:
    record = record_of(store)
    cache = FrameCache.open(store.frame_cache(NAME, record.version))
    camera, rows = cache.cameras[0], np.arange(record.frames)
    times = [cache.timestamps(episode, camera).tobytes() for episode in range(record.episodes)]
    places = [cache.rows(episode, camera, np.array([0.7])) for episode in range(record.episodes)]
    return cache.frames(camera, rows).tobytes(), times, np.array(places).tolist()


def all_prepared(store: Store) -> object:
    record, config = record_of(store), load_modality_config(NAME, store)
    frames = PreparedFrames.open(store.frame_cache(NAME, record.version), config, ImageRecipe(SIZE))
    return frames.frames(config.video[0].original_key, np.arange(record.frames)).tobytes()


def scan(store: Store) -> object:
    record = record_of(store)
    return stored_scan(record.directory(store), store.dataset_scan(NAME, record.version))


def origin(store: Store) -> object:
    if (known := load_origin(NAME, store)) is None:
        raise DatasetError(NAME, "where it came from is not known: it is taken again.")
    return known


def run_of(store: Store) -> Path:
    return store.run_directory(*RUNS[store.root])


RUNS: dict[Path, tuple[str, str]] = {}


def run_read_back(store: Store) -> object:
    """What compares and ranks runs; a damaged run is left out with what is wrong with it."""
    spec = TrainingSpec.model_validate_json(SPECS[store.root])
    (run,) = read_runs([spec.experiment], store)
    if run.problems:
        raise CheckpointError(run.name, " ".join(run.problems))
    assert run.spec is not None
    trained_with = (run.spec.experiment.hyperparameters, run.spec.data.modality_hash)
    return run.manifest, run.metrics.losses.tolist(), run.rankable, trained_with


SPECS: dict[Path, str] = {}


def whole_checkpoint(store: Store) -> object:
    latest = latest_record(run_of(store), RUNS[store.root][1])
    if latest is None:
        raise CheckpointError("checkpoints", "there is none.")
    return latest


KINDS = {
    "spec": Kind("runs/*/*/spec.json", run_read_back, check=run_damage),
    "manifest": Kind("runs/*/*/manifest.json", run_read_back, check=run_damage),
    "metrics": Kind("runs/*/*/metrics.jsonl", run_read_back, every_byte=True, check=run_damage),
    "model": Kind(
        "runs/*/*/model/**/*",
        lambda store: require_unchanged(run_of(store) / "model"),
        every_byte=True,
        check=run_damage,
    ),
    "checkpoint": Kind(
        "runs/*/*/checkpoints/*/*.safetensors", whole_checkpoint, every_byte=True, check=run_damage
    ),
    "its record": Kind("runs/*/*/checkpoints/*/*.json", whole_checkpoint, check=run_damage),
    "evaluation": Kind(
        "runs/*/*/evaluation.json", lambda store: load_evaluation(run_of(store)), check=run_damage
    ),
    "meta files": Kind("datasets/*/*/meta/*", training_rows, every_byte=True),
    "rows": Kind("datasets/*/*/data/**/*.parquet", training_rows, every_byte=True),
    "videos": Kind("datasets/*/*/videos/**/*.mp4", whole_version, every_byte=True),
    "hashes of files": Kind("datasets/*/*.files.json", training_rows),
    "scan": Kind("datasets/*/*.scan.json", scan),
    "dataset record": Kind("datasets/*/dataset.json", lambda store: load_record(NAME, store)),
    "origin": Kind("datasets/*/origin.json", origin),
    "modality config": Kind(
        "modality_configs/*.json", lambda store: load_modality_config(NAME, store)
    ),
    "frame check": Kind(
        "frame_caches/*/*.frames.json",
        lambda store: load_frame_check(store.frame_check(NAME, record_of(store).version)),
    ),
    "frames": Kind("frame_caches/*/*/[!.]*/*.npy", all_frames, every_byte=True),
    "index and checksums": Kind("frame_caches/*/*/[!.]*/*.json", all_frames),
    "prepared frames": Kind("frame_caches/*/*/.prepared-*/*.npy", all_prepared, every_byte=True),
    "their checksums": Kind("frame_caches/*/*/.prepared-*/*.json", all_prepared),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = a_store(tmp_path_factory.mktemp("flipped"))
    make_data(made, name=NAME)
    RECORDS[made.root] = load_record(NAME, made)
    all_prepared(made)
    spec = make_run(made, max_steps=2)
    RUNS[made.root] = (spec.experiment.name, spec.config_hash)
    SPECS[made.root] = spec.model_dump_json()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: False)
        asked = EvaluationSettings(draws=2, stride=8, max_episodes=1)
        evaluate_run(spec.run_directory, asked)
    return made


@contextmanager
def damaged(file: Path, place: float, bit: int, length: int) -> Iterator[None]:
    """A file with another bit, or with a part of zeros where there is a length."""
    whole, times = file.read_bytes(), file.stat()
    first, changed = min(int(place * len(whole)), len(whole) - 1), bytearray(whole)
    if length:
        part = changed[first : first + length]
        changed[first : first + length] = bytes(len(part))
    else:
        changed[first] ^= 1 << bit
    assume(bytes(changed) != whole)
    try:
        put(file, bytes(changed), times)
        yield
    finally:
        file.parent.mkdir(exist_ok=True)
        put(file, whole, times)


def put(file: Path, content: bytes, times: os.stat_result) -> None:
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def hold(store: Store, kind: Kind, examples: int, *, repeatable: bool) -> None:
    """Damage files of a kind, and hold every use to the rule of the module."""
    files = sorted(path for path in store.root.glob(kind.files) if path.is_file())
    assert files, kind.files
    before = kind.use(store)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=repeatable,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(
        st.sampled_from(files),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from([0, 0, 1, 6]),  # the lowest makes of a digit another digit
        st.sampled_from([0, 0, 0, 0, 512, 1 << 16]),
    )
    def use_damaged(file: Path, place: float, bit: int, length: int) -> None:
        with damaged(file, place, bit, length):
            try:
                is_unaffected = kind.use(store) == before
                assert is_unaffected, f"{file} at {place} of it: used as if nothing was"
            except Gr00tAssetsError:
                is_unaffected = False
        with damaged(file, place, bit, length):
            found = list(kind.check(store, Tally()))
            assert found or (is_unaffected and not kind.every_byte), f"{file} at {place} of it"

    use_damaged()
    assert not list(kind.check(store, Tally())), "all is as it was"


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_byte_is_seen_or_changes_nothing(store: Store, name: str) -> None:
    hold(store, KINDS[name], examples=16, repeatable=True)


@pytest.mark.faults
@pytest.mark.parametrize("name", KINDS)
def test_many_damaged_bytes_are_seen_or_change_nothing(store: Store, name: str) -> None:
    hold(store, KINDS[name], examples=60, repeatable=False)
