import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Measure
from gr00t_assets.datasets.quality.motion import resampled
from gr00t_assets.datasets.quality.scores import near_pairs
from gr00t_assets.datasets.quality.table import quality_table, score_table
from gr00t_assets.defs.assets.data import quality_metadata
from gr00t_assets_tests.datasets.quality.edits import ACTION, STATE, measured, rewrite, warned


def copy(directory: Path, source: int, target: int, offset: float = 0.0) -> None:
    """Put the rows of an episode in place of those of another, joint 1 of the state moved."""
    dataset = LeRobotDataset.open(directory)
    length = dataset.episodes[target].length
    for column in (STATE, ACTION):
        rows = resampled(dataset.vector(source, column).astype(np.float64), length)
        if dataset.episodes[source].length == length:
            rows = dataset.vector(source, column).copy()
        if column == STATE:
            rows[:, 1] += offset
        rewrite(directory, column, lambda _, values=rows: values, target)


def extent(directory: Path) -> float:
    dataset = LeRobotDataset.open(directory)
    values = np.concatenate([dataset.vector(index, STATE)[:, 1] for index in range(6)])
    return float(np.ptp(values))


def same_length(directory: Path) -> None:
    """Cut every episode's rows and its line to 90."""
    import json

    import pyarrow.parquet as pq

    dataset = LeRobotDataset.open(directory)
    for episode in dataset.episodes:
        path = dataset.parquet_path(episode.index)
        pq.write_table(pq.read_table(path).slice(0, 90), path)
    path = directory / "meta" / "episodes.jsonl"
    lines = [json.loads(line) | {"length": 90} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_an_episode_that_repeats_another_to_the_bit(arm: Path) -> None:
    same_length(arm)
    assert measured(arm).repeats == ()
    copy(arm, 1, 4)
    quality = measured(arm)
    (repeat,) = quality.repeats
    assert (repeat.episode, repeat.original, repeat.distance) == (4, 1, 0.0)
    assert Measure.REPEATS in warned(quality)
    assert "4 repeats 1" in " ".join(quality.messages())
    assert quality.scores[4].reasons == ("repeats episode 1 (-60)",)
    assert (quality.scores[4].score, quality.scores[1].score) == (40, 100)


def test_an_episode_that_nearly_repeats_another(arm: Path) -> None:
    same_length(arm)
    offset = 0.01 * extent(arm)
    copy(arm, 0, 3, offset)
    quality = measured(arm)
    (repeat,) = quality.repeats
    assert (repeat.episode, repeat.original) == (3, 0)
    # One of twelve numbers is off by a hundredth of its range.
    assert repeat.distance == pytest.approx(0.01 / np.sqrt(12), rel=0.03)
    assert quality.scores[3].reasons == ("nearly repeats episode 0 (-40)",)
    copy(arm, 0, 3, 4 * offset)
    assert measured(arm).repeats == ()


def test_a_repetition_at_another_speed_is_near_and_half_an_episode_is_not(arm: Path) -> None:
    copy(arm, 0, 2)
    assert [(item.episode, item.original) for item in measured(arm).repeats] == [(2, 0)]


def test_the_pairs_are_those_of_a_full_comparison() -> None:
    random = np.random.default_rng(0)
    points = random.normal(0, 0.3, (300, 20)).astype(np.float32)
    points[200:] = points[:100] + random.normal(0, 0.005, (100, 20))
    lengths = random.integers(90, 110, 300)
    distances = np.sqrt(((points[:, None] - points[None]) ** 2).mean(axis=2))
    expected = {
        (left, right)
        for left, right in np.argwhere(np.triu(distances < 0.005, 1)).tolist()
        if abs(lengths[left] - lengths[right]) <= 0.1 * max(lengths[left], lengths[right])
    }
    pairs = {tuple(sorted(pair[:2])) for pair in near_pairs(points, lengths)}
    assert pairs == expected
    assert 10 < len(expected) < 100


def test_nothing_is_compared_where_nothing_moves() -> None:
    assert near_pairs(np.zeros((3, 0)), np.array([5, 5, 5])) == []
    assert near_pairs(np.zeros((1, 4)), np.array([5])) == []
    assert resampled(np.zeros((0, 3)), 16).shape == (16, 3)


def test_good_episodes_lose_nothing(six: Path) -> None:
    quality = measured(six)
    assert [item.score for item in quality.scores] == [100] * 6
    assert score_table(quality) == []
    table = {row[0]: row for row in quality_table(quality)}
    assert table[Measure.SCORES][1] == "mean 100 of 100, lowest 100 of episode 0"


def test_points_add_up_and_each_has_its_reason(arm: Path) -> None:
    def spoilt(rows: np.ndarray) -> np.ndarray:
        rows[:, 2] = rows[0, 2]
        rows[40, 4] += 500
        rows[:45] = rows[45]
        rows[46, 4] += 500
        return rows

    rewrite(arm, STATE, spoilt, 2)
    quality = measured(arm)
    score = quality.scores[2]
    assert quality.idle is not None
    rest = (quality.idle.start[2] + quality.idle.end[2]) / quality.lengths.rows[2]
    assert rest == pytest.approx(44 / quality.lengths.rows[2], abs=0.02)
    assert score.reasons[0] == "single_arm 2 is stuck (-40)"
    assert "2 jumps in observation.state (-20)" in score.reasons
    assert f"at rest in {rest:.0%} of its rows (-{round(30 * rest)})" in score.reasons
    assert score.score == 100 - sum(int(text.rsplit("-", 1)[1][:-1]) for text in score.reasons)
    (row, *others) = score_table(quality)
    assert row == ["2", str(score.score), "; ".join(score.reasons)]
    assert others == []


def test_the_command_prints_measures_and_scores(arm: Path) -> None:
    rewrite(arm, STATE, lambda rows: rows * 0 + rows[:1], 3)
    (arm / "meta" / "stats.json").unlink()
    shown = CliRunner().invoke(app, ["dataset", "check", str(arm), "--quality"])
    assert shown.exit_code == 0, shown.output
    assert "action to state lag" in shown.stdout
    assert "is stuck" in shown.stdout
    shown = CliRunner().invoke(app, ["dataset", "check", str(arm), "--quality", "--json"])
    scores = json.loads(shown.stdout)["quality"]["scores"]
    assert [item["episode"] for item in scores] == list(range(6))
    assert scores[3]["score"] < 60


def test_a_dataset_that_cannot_be_read_is_not_measured(arm: Path) -> None:
    (arm / "meta" / "tasks.jsonl").unlink()
    shown = CliRunner().invoke(app, ["dataset", "check", str(arm), "--quality"])
    assert (shown.exit_code, "action to state lag" in shown.stdout) == (1, False)


def test_the_page_has_table_scores_and_plots(six: Path) -> None:
    metadata = quality_metadata(measured(six))
    assert set(metadata) == {"quality_findings", "quality", "episode_scores", "quality_plots"}
    assert "action to state lag" in str(metadata["quality"])


def test_a_dataset_without_modality_json_is_measured(arm: Path) -> None:
    (arm / "meta" / "modality.json").unlink()
    shown = CliRunner().invoke(app, ["dataset", "check", str(arm), "--quality"])
    assert "action to state lag    all " in shown.stdout
