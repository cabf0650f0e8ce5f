import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.datasets.quality.figures import Measure
from gr00t_assets.datasets.quality.table import quality_table, score_table
from gr00t_assets.defs.data_results import quality_metadata
from gr00t_assets_tests.datasets.quality.edits import STATE, measured, rewrite


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
