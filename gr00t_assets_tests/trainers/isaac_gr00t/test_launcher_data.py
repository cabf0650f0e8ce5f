"""What the launcher feeds the checkout's dataset class, sample by sample beside the bare class."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.trainers import isaac_gr00t
from gr00t_assets_tests.trainers.isaac_gr00t.launching import SmallRun, Trainer, with_dataset

VIDEO = "video.ego_view"

Opener = Callable[..., Any]
"""Opens the checkout's dataset class on a run's data, fed by a launch or bare."""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Imports the checkout and the launcher's modules anew; both are gone afterwards."""

    def open_dataset(
        run: SmallRun, launch: dict[str, Any] | None = None, backend: str = "decord"
    ) -> Any:
        _forget()
        monkeypatch.syspath_prepend(str(Path(isaac_gr00t.__path__[0]) / "launcher"))
        monkeypatch.syspath_prepend(str(run.checkout))
        if launch is not None:
            importlib.import_module("launcher_data").replace_reading(json.loads(json.dumps(launch)))
        configs = importlib.import_module("gr00t.experiment.data_config").DATA_CONFIG_MAP
        tags = importlib.import_module("gr00t.data.embodiment_tags").EmbodimentTag
        return importlib.import_module("gr00t.data.dataset").LeRobotSingleDataset(
            run.spec.datasets[0].directory,
            configs["fourier_gr1_arms_only"].modality_config(),
            tags.GR1,
            video_backend=backend,
        )

    yield open_dataset
    _forget()


def _forget() -> None:
    for name in [*sys.modules]:
        if name.split(".")[0] == "gr00t" or name.startswith("launcher_"):
            del sys.modules[name]


def frames_of(dataset: Any) -> np.ndarray:
    return np.stack(
        [dataset.get_step_data(*dataset.all_steps[i])[VIDEO][0] for i in range(len(dataset))]
    )


def cached(run: SmallRun) -> np.ndarray:
    """The right frame of every row."""
    cache = FrameCache.open(run.spec.datasets[0].frame_cache)
    camera = cache.cameras[0]
    return np.concatenate(
        [cache.frames(camera, cache.rows(e, camera, cache.timestamps(e, camera))) for e in (0, 1)]
    )


def test_every_frame_is_right_where_torchvision_av_of_june_is_wrong(
    small_run: Trainer, opened: Opener
) -> None:
    run = small_run()
    expected = cached(run)
    bare = frames_of(opened(run, backend="torchvision_av"))
    wrong = (bare != expected).any(axis=(1, 2, 3)).mean()
    assert wrong > 0.9
    fed = frames_of(opened(run, run.launch(), "torchvision_av"))
    assert fed.dtype == np.uint8
    np.testing.assert_array_equal(fed, expected)


def test_a_frame_that_changed_in_the_cache_is_refused(small_run: Trainer, opened: Opener) -> None:
    run = small_run()
    dataset = opened(run, run.launch())
    frames = np.load(next(run.spec.datasets[0].frame_cache.rglob("frames.npy")), mmap_mode="r+")
    frames[45] += 1
    frames.flush()
    with pytest.raises(Exception, match=r"cache of small is damaged\n  row 45 of .*\n  decode it"):
        frames_of(dataset)


def test_every_other_part_of_a_sample_is_what_the_bare_class_gives(
    small_run: Trainer, opened: Opener
) -> None:
    run = small_run()
    bare = opened(run)
    samples = [bare.get_step_data(*bare.all_steps[i]) for i in range(0, len(bare), 3)]
    fed = opened(run, run.launch())
    for part in ("statistics", "modalities"):
        for modality, keys in getattr(fed.metadata, part).model_dump().items():
            of_class = getattr(getattr(bare.metadata, part), modality)
            for key, described in keys.items():
                assert described == of_class[key].model_dump(), f"{part} of {modality}.{key}"
    for expected, i in zip(samples, range(0, len(bare), 3), strict=True):
        sample = fed.get_step_data(*fed.all_steps[i])
        assert list(sample) == list(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(sample[key], value, err_msg=f"{key} of sample {i}")
            if key != "annotation.human.action.task_description":
                assert (sample[key].dtype, sample[key].shape) == (value.dtype, value.shape)
                assert type(sample[key]) is np.ndarray


def test_a_sample_can_be_changed_without_changing_the_next(
    small_run: Trainer, opened: Opener
) -> None:
    run = small_run()
    dataset = opened(run, run.launch())
    first = dataset.get_step_data(0, 3)
    kept = {key: np.array(value) for key, value in first.items()}
    for value in first.values():
        if isinstance(value, np.ndarray):
            value[...] = 0
    again = dataset.get_step_data(0, 3)
    for key, value in kept.items():
        np.testing.assert_array_equal(again[key], value)


def test_parquet_is_read_once(
    small_run: Trainer, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    run, reads = small_run(), []
    read = pd.read_parquet
    monkeypatch.setattr(pd, "read_parquet", lambda path: reads.append(path) or read(path))
    for launch, expected in ((None, 10), (run.launch(), 2)):
        reads.clear()
        dataset = opened(run, launch)
        for row in range(10):
            dataset.get_step_data(row % 2, row)
        assert len(reads) == expected


def test_held_out_episodes_are_not_trained_on(small_run: Trainer, opened: Opener) -> None:
    run = small_run()
    dataset = opened(run, with_dataset(run.launch(), held_out_episodes=(0,)))
    assert list(dataset.trajectory_ids) == [1]
    assert {int(episode) for episode, _ in dataset.all_steps} == {1}
    expected = cached(run)
    np.testing.assert_array_equal(frames_of(dataset), expected[-len(dataset) :])


def test_nothing_is_written_into_the_dataset(small_run: Trainer, opened: Opener) -> None:
    run = small_run()
    folder = run.spec.datasets[0].directory
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    stats = folder / "meta" / "stats.json"
    stats.unlink(missing_ok=True)
    launch = run.launch()
    fed = opened(run, launch)
    assert not stats.exists()
    expected = fed.metadata.statistics.action["left_arm"].max
    opened(run)
    assert stats.exists(), "the bare class computes it, and writes it here"
    opened(run, launch)
    assert fed.metadata.statistics.action["left_arm"].max == expected


def test_of_two_equally_near_frames_the_first_is_taken(tmp_path: Path, opened: Opener) -> None:
    from gr00t_assets.datasets.videos import nearest_rows

    sys.path.insert(0, str(Path(isaac_gr00t.__path__[0]) / "launcher"))
    try:
        camera_of = importlib.import_module("launcher_data").Camera
    finally:
        del sys.path[0]
    shown = np.array([9.0, 0.0, 0.5, 1.0, 1.0, 2.0])
    frames = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1).repeat(3, axis=3)
    np.save(tmp_path / "frames.npy", frames)
    np.save(tmp_path / "times.npy", shown)
    camera = camera_of(str(tmp_path / "frames.npy"), str(tmp_path / "times.npy"), {"7": [1, 5]})
    asked = np.array([-1.0, 0.25, 0.75, 1.0, 1.5, 1.6, 5.0])
    given = camera.nearest(7, asked)[:, 0, 0, 0]
    np.testing.assert_array_equal(given, nearest_rows(shown[1:], asked) + 1)
    assert given.tolist() == [1, 1, 2, 3, 3, 5, 5]
