import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Measure, Quality
from gr00t_assets.datasets.quality.measure import measure_quality
from gr00t_assets.datasets.quality.plots import LIMIT, quality_png
from gr00t_assets.datasets.quality.table import quality_table
from gr00t_assets_tests.datasets.lerobot.v3.hand_made import write_hand_made
from gr00t_assets_tests.datasets.quality.edits import (
    ACTION,
    EGO,
    STATE,
    TASK,
    held,
    measured,
    refilm,
    rewrite,
    warned,
)


def test_good_demonstrations(good: Path) -> None:
    quality = measured(good, filmed=True)
    assert quality.messages() == []
    assert quality.lengths.outliers == ()
    assert len(quality.lengths.rows) == 4
    assert quality.idle is not None
    assert max(quality.idle.start) < 13
    assert [vector.column for vector in quality.vectors] == [STATE, ACTION]
    assert quality.vectors[0].constant.count(False) == 26
    assert quality.vectors[0].labels[:2] == ("left_arm 0", "left_arm 1")
    assert max(quality.vectors[0].outside) < 0.03
    (camera,) = quality.cameras
    assert (camera.camera, len(camera.luminance)) == (EGO, 400)
    assert 100 < camera.mean < 200
    assert quality.language is not None
    assert quality.language.distinct == len(LeRobotDataset.open(good).tasks)
    assert all(row[2] == "" for row in quality_table(quality))


def test_nothing_is_said_of_images_without_frames(good: Path) -> None:
    quality = measured(good)
    assert quality.cameras == ()
    assert Measure.EXPOSURE not in {row[0] for row in quality_table(quality)}
    assert Image.open(io.BytesIO(quality_png(quality))).width == 1000


def test_the_demo(demo_dataset: Path, tmp_path: Path) -> None:
    dataset = LeRobotDataset.open(demo_dataset)
    build_frame_cache(dataset, dataset.cameras, tmp_path / "cache", workers=1)
    quality = measure_quality(dataset, FrameCache.open(tmp_path / "cache"))
    lengths = quality.lengths
    assert (lengths.shortest, lengths.median, lengths.longest) == (328, 416, 470)
    assert quality.language is not None
    assert (quality.language.column, quality.language.distinct) == (TASK, 5)
    assert quality.language.empty_share == 0
    assert quality.idle is not None
    assert quality.idle.start_share == 0
    state, action = quality.vectors
    assert (state.constant.count(False), action.constant.count(False)) == (26, 19)
    assert state.labels[int(np.argmax(state.stretch))] == "left_hand 4"
    assert round(max(state.stretch), 1) == 18.4
    assert all(copy.share in (0, None) for copy in quality.copies)
    assert quality.cameras[0].mean == pytest.approx(84.7, abs=1)
    assert quality.cameras[0].identical_share < 0.005
    assert quality.cameras[0].freezes == ()
    assert {key: value for key, value in quality.motion.lags.items() if value} == {
        "left_arm": 50,
        "right_arm": 100,
    }
    assert warned(quality) == {Measure.STRETCHED, Measure.JUMPS, Measure.LIMITS}


def test_rows_at_rest_at_the_start(copied: Path) -> None:
    rewrite(copied, STATE, held)
    quality = measured(copied)
    assert Measure.IDLE_START in warned(quality)
    assert Measure.IDLE_END not in warned(quality)
    assert quality.idle is not None
    assert min(quality.idle.start) >= 24
    message = next(text for text in quality.messages() if text.startswith(Measure.IDLE_START))
    assert "the policy learns to wait" in message


def test_rows_at_rest_at_the_end(copied: Path) -> None:
    rewrite(copied, STATE, lambda rows: held(rows[::-1].copy())[::-1])
    quality = measured(copied)
    assert Measure.IDLE_END in warned(quality)
    assert quality.idle is not None
    assert min(quality.idle.end) >= 24


def test_actions_that_repeat_the_state(copied: Path) -> None:
    dataset = LeRobotDataset.open(copied)
    states = iter([dataset.vector(episode.index, STATE) for episode in dataset.episodes])
    rewrite(copied, ACTION, lambda _: next(states))
    quality = measured(copied)
    assert Measure.COPIES in warned(quality)
    shares = {copy.key: copy.share for copy in quality.copies}
    assert (shares["left_arm"], shares["left_leg"]) == (1.0, None)
    assert "left_arm 100%" in quality.messages()[0]


def test_statistics_of_other_data(copied: Path) -> None:
    path = copied / "meta" / "stats.json"
    statistics = json.loads(path.read_text())
    statistics[STATE]["q99"][0] = statistics[STATE]["mean"][0]
    path.write_text(json.dumps(statistics))
    quality = measured(copied)
    assert warned(quality) == {Measure.OUTSIDE}
    assert quality.vectors[0].outside[0] > 0.2
    assert quality.vectors[0].stored
    assert "left_arm 0" in quality.messages()[0]
    path.unlink()
    quality = measured(copied)
    assert warned(quality) == set()
    assert not quality.vectors[0].stored


def test_a_spike_takes_the_scale(copied: Path) -> None:
    def spike(rows: np.ndarray) -> np.ndarray:
        rows[30, 2] += 100.0
        return rows

    rewrite(copied, ACTION, spike)
    quality = measured(copied)
    assert {Measure.STRETCHED, Measure.JUMPS} <= warned(quality)
    action = quality.vectors[1]
    assert action.largest_step[2] == pytest.approx(1, abs=0.05)
    assert (action.jumps, action.first_jump) == (8, "episode 0 row 30, left_arm 2")
    assert quality.vectors[0].jumps == 0


def test_switches_may_jump(copied: Path) -> None:
    def switch(rows: np.ndarray) -> np.ndarray:
        rows[:, 2] = np.arange(len(rows)) % 2
        return rows

    rewrite(copied, ACTION, switch)
    assert Measure.JUMPS not in warned(measured(copied))


def test_an_episode_that_was_forgotten(copied: Path) -> None:
    path = copied / "meta" / "episodes.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[2]["length"] = 900
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    quality = measured(copied)
    assert Measure.LENGTHS in warned(quality)
    assert quality.lengths.outliers == (2,)
    assert "1 episode is more than 3 times" in quality.messages()[0]


@pytest.mark.parametrize("text", ["", "valid", "Task 3", "???"])
def test_texts_that_say_nothing(copied: Path, text: str) -> None:
    path = copied / "meta" / "tasks.jsonl"
    lines = [json.loads(line) | {"task": text} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    quality = measured(copied)
    assert warned(quality) == {Measure.LANGUAGE}
    assert quality.language is not None
    assert (quality.language.empty_share, quality.language.placeholders) == (1.0, (text,))


def test_one_instruction_for_nearly_all_rows(copied: Path) -> None:
    seen = iter(range(4))

    def same(rows: np.ndarray) -> np.ndarray:
        rows[:] = 0
        rows[: 3 * (next(seen) == 0)] = 1
        return rows

    rewrite(copied, TASK, same)
    quality = measured(copied)
    assert warned(quality) == {Measure.LANGUAGE}
    assert "99% of the rows have one of 2 instructions" in quality.messages()[0]


def test_too_dark(copied: Path) -> None:
    refilm(copied, lambda frames: [frame // 8 for frame in frames])
    quality = measured(copied, filmed=True)
    assert warned(quality) == {Measure.EXPOSURE}
    assert quality.cameras[0].dark_share == 1
    assert "darker than 40" in quality.messages()[0]


def test_too_bright(copied: Path) -> None:
    refilm(copied, lambda frames: [255 - frame // 8 for frame in frames])
    quality = measured(copied, filmed=True)
    assert warned(quality) == {Measure.EXPOSURE}
    assert quality.cameras[0].bright_share == 1


def test_flicker(copied: Path) -> None:
    refilm(copied, lambda frames: [f // (1 + i % 2) + 40 for i, f in enumerate(frames)])
    quality = measured(copied, filmed=True)
    assert warned(quality) == {Measure.FLICKER}
    assert quality.cameras[0].flicker_share == 1


def test_frozen_video(copied: Path) -> None:
    refilm(copied, lambda frames: [frames[0]] * len(frames))
    quality = measured(copied, filmed=True)
    assert warned(quality) == {Measure.FROZEN, Measure.FREEZES}
    assert quality.cameras[0].frozen_share > 0.5
    table = {row[0]: row for row in quality_table(quality)}
    assert "the camera stood still" in table[Measure.FROZEN][2]
    assert table[Measure.FLICKER][2] == ""


def test_values_that_are_not_finite(copied: Path) -> None:
    def broken(rows: np.ndarray) -> np.ndarray:
        rows[5, 0], rows[6, 1] = np.nan, np.inf
        return rows

    rewrite(copied, STATE, broken)
    quality = measured(copied)
    assert np.isfinite(quality.vectors[0].maximum).all()
    assert Quality.model_validate_json(quality.model_dump_json()) == quality


def test_a_width_that_changes(copied: Path) -> None:
    seen = iter(range(4))
    rewrite(copied, ACTION, lambda rows: rows[:, : 44 - (next(seen) == 3)])
    with pytest.raises(DatasetError, match="43 numbers in episode 3"):
        measured(copied)


def test_the_picture_is_small(good: Path) -> None:
    quality = measured(good, filmed=True)
    random = np.random.default_rng(0)
    many = random.integers(100, 400, 3000)
    assert quality.idle is not None
    large = quality.model_copy(
        update={
            "lengths": quality.lengths.model_copy(update={"rows": tuple(many.tolist())}),
            "idle": quality.idle.model_copy(
                update={"start": tuple((many // 10).tolist()), "end": tuple((many // 20).tolist())}
            ),
        }
    )
    pictures = [quality_png(quality), quality_png(large)]
    assert pictures[0] != pictures[1]
    for picture in pictures:
        assert len(picture) < LIMIT
        assert Image.open(io.BytesIO(picture)).size == (1000, 1600)


def test_quantiles_of_v30_are_those_of_the_rows(tmp_path: Path) -> None:
    write_hand_made(tmp_path / "v30")
    dataset = LeRobotDataset.open(tmp_path / "v30")
    quality = measure_quality(dataset, None)
    assert not any(vector.stored for vector in quality.vectors)
    assert Measure.OUTSIDE not in warned(quality)


def shortened(directory: Path, rows: int) -> None:
    for index in range(4):
        path = LeRobotDataset.open(directory).parquet_path(index)
        pq.write_table(pq.read_table(path).slice(0, rows), path)
    path = directory / "meta" / "episodes.jsonl"
    lines = [json.loads(line) | {"length": rows} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_episodes_of_a_few_rows_are_measured(copied: Path, rows: int) -> None:
    shortened(copied, rows)
    quality = measured(copied)
    assert quality.lengths.rows == (rows,) * 4
    assert len(quality.scores) == 4
    quality_png(quality)


@pytest.mark.parametrize("value", [np.nan, 0.5])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_robot_that_never_moves_is_measured(copied: Path, value: float) -> None:
    for column in (STATE, ACTION):
        rewrite(copied, column, lambda rows: rows * 0 + value)
    quality = measured(copied)
    assert quality.motion.stuck == {}
    assert set(quality.motion.lags.values()) == {None}
    quality_png(quality)
