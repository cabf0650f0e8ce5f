"""A frame cache whose building is interrupted, by an error, by a kill, or by a second builder."""

import multiprocessing
import random
import shutil
import signal
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.frames.partial_frames import JOURNAL, building_folder
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets_tests.datasets.videos import content, encode, encoded_dataset, moving

CAMERAS = {"front": (320, 240), "wrist": (160, 120)}
LENGTHS = [70, 41, 55, 62, 38, 66, 47, 71, 59, 43]
KILLS = 20


class InterruptionError(Exception):
    pass


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> LeRobotDataset:
    return encoded_dataset(tmp_path_factory.mktemp("data") / "demo", LENGTHS, CAMERAS)


@pytest.fixture(scope="module")
def unbroken(dataset: LeRobotDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("unbroken") / "demo" / "version"
    info = build_frame_cache(dataset, dataset.cameras, directory)
    assert info.decoded == 2 * len(LENGTHS)
    return content(directory)


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that begin with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["av", "gr00t_assets_tests.datasets.frames.test_frame_cache_resume"]
    )
    return context


def interrupt(dataset: LeRobotDataset, directory: Path, after: int) -> None:
    """Build until some frames are done."""

    def stop(done: int, total: int) -> None:
        if done >= after:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        build_frame_cache(dataset, dataset.cameras, directory, stop, workers=1)


def test_twenty_kills_at_any_moment_change_nothing(
    dataset: LeRobotDataset,
    unbroken: dict[str, bytes],
    processes: ForkServerContext,
    tmp_path: Path,
) -> None:
    directory = tmp_path / "demo" / "version"
    moments = random.Random(7)
    killed, halfway, longest = 0, 0, 0.5
    while killed < KILLS:
        builder = processes.Process(
            target=build_frame_cache, args=(dataset, dataset.cameras, directory)
        )
        builder.start()
        builder.join(moments.uniform(0, longest))
        builder.kill()
        builder.join()
        whole = sorted(path.name for path in directory.glob("[!.]*"))
        for camera in whole:
            for name, got in content(directory / camera).items():
                assert got == unbroken[f"{camera}/{name}"]
        if builder.exitcode == -signal.SIGKILL:
            killed += 1
            finished = sum(path.read_text().count("\n") for path in directory.glob(f".*/{JOURNAL}"))
            halfway += finished > 0
            longest *= 1 if finished or whole else 1.2
        elif killed < KILLS:
            shutil.rmtree(directory)
            longest *= 0.8
    assert halfway > 0
    build_frame_cache(dataset, dataset.cameras, directory)
    assert content(directory) == unbroken
    assert not list(directory.glob(".*"))


def test_episodes_that_were_finished_are_not_decoded_again(
    dataset: LeRobotDataset, unbroken: dict[str, bytes], tmp_path: Path
) -> None:
    directory = tmp_path / "demo" / "version"
    interrupt(dataset, directory, after=sum(LENGTHS[:4]))
    journal = building_folder(directory, "front") / JOURNAL
    finished = journal.read_text().splitlines()
    assert 4 <= len(finished) < len(LENGTHS)
    with journal.open("a") as file:
        file.write('{"episode": 9, "sha')
    told: list[tuple[int, int]] = []
    info = build_frame_cache(
        dataset, dataset.cameras, directory, lambda *numbers: told.append(numbers)
    )
    assert info.kept == len(finished)
    assert info.decoded == 2 * len(LENGTHS) - len(finished)
    assert content(directory) == unbroken
    done = [number for number, _ in told]
    assert done == sorted(done)
    assert told[-1] == (2 * sum(LENGTHS), 2 * sum(LENGTHS))


def test_a_finished_episode_whose_frames_changed_meanwhile_is_decoded_again(
    dataset: LeRobotDataset, unbroken: dict[str, bytes], tmp_path: Path
) -> None:
    directory = tmp_path / "demo" / "version"
    interrupt(dataset, directory, after=sum(LENGTHS[:4]))
    building = building_folder(directory, "front")
    finished = (building / JOURNAL).read_text().count("\n")
    stored = np.load(building / "frames.npy", mmap_mode="r+")
    stored[0] += 1
    stored.flush()
    times = np.load(building / "timestamps.npy", mmap_mode="r+")
    times[LENGTHS[0]] += 1
    times.flush()
    assert build_frame_cache(dataset, dataset.cameras, directory).kept == finished - 2
    assert content(directory) == unbroken


def test_an_episode_whose_video_changed_meanwhile_is_decoded_again(
    dataset: LeRobotDataset, tmp_path: Path
) -> None:
    directory = tmp_path / "demo" / "version"
    copied = shutil.copytree(dataset.directory, tmp_path / "data")
    changed = replace(dataset, directory=copied)
    interrupt(changed, directory, after=sum(LENGTHS[:4]))
    encode(changed.video_path(0, "front"), moving(LENGTHS[0], CAMERAS["front"], seed=99))
    build_frame_cache(changed, changed.cameras, directory)
    build_frame_cache(changed, changed.cameras, tmp_path / "anew" / "version")
    assert content(directory) == content(tmp_path / "anew" / "version")


def test_what_another_plan_left_is_dropped(
    dataset: LeRobotDataset, unbroken: dict[str, bytes], tmp_path: Path
) -> None:
    directory = tmp_path / "demo" / "version"
    reversed_order = replace(dataset, episodes=dataset.episodes[::-1])
    interrupt(reversed_order, directory, after=sum(LENGTHS[:4]))
    info = build_frame_cache(dataset, dataset.cameras, directory)
    assert info.kept == 0
    assert content(directory) == unbroken


def test_a_kill_between_the_index_and_the_renaming_costs_nothing(
    dataset: LeRobotDataset, unbroken: dict[str, bytes], tmp_path: Path
) -> None:
    directory = tmp_path / "demo" / "version"
    build_frame_cache(dataset, dataset.cameras, directory)
    building = (directory / "front").rename(building_folder(directory, "front"))
    (building / JOURNAL).touch()
    (building / ".index.json.partial-1-0").write_text("{")
    info = build_frame_cache(dataset, dataset.cameras, directory)
    assert (info.kept, info.decoded) == (len(LENGTHS), 0)
    assert content(directory) == unbroken


def test_two_builders_at_once_do_no_harm(
    dataset: LeRobotDataset,
    unbroken: dict[str, bytes],
    processes: ForkServerContext,
    tmp_path: Path,
) -> None:
    directory = tmp_path / "demo" / "version"
    builders = [
        processes.Process(target=build_frame_cache, args=(dataset, dataset.cameras, directory))
        for _ in range(3)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert [builder.exitcode for builder in builders] == [0, 0, 0]
    assert content(directory) == unbroken
    assert FrameCache.open(directory).rows(0, "front", np.array([0.0])).tolist() == [0]
