"""Which checkpoints stay."""

import json
import math
from pathlib import Path

from gr00t_assets.core.checksums import sealed
from gr00t_assets.core.files import write_json
from gr00t_assets.runs.checkpoint_choice import evaluation_file
from gr00t_assets.runs.checkpoint_layout import COMPLETE, CheckpointLayout
from gr00t_assets.runs.final_loss import final_window
from gr00t_assets.runs.metrics import Metric, append_metric, read_metrics
from gr00t_assets.runs.retention.retention_rule import best_step, kept_steps


def log(directory: Path, step: int, losses: list[float]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    fields = dict.fromkeys(Metric.model_fields, 1) | {"step": step, "losses": losses}
    append_metric(Metric.model_validate(fields), directory)


def test_the_newest_and_the_best_stay(tmp_path: Path) -> None:
    for step, loss in {10: 3.0, 20: 1.0, 30: 2.0, 40: 2.5}.items():
        log(tmp_path, step, [loss] * 10)
    assert kept_steps([10, 20, 30, 40], 1, tmp_path) == {20, 40}
    assert kept_steps([10, 20, 30, 40], 1, tmp_path, best=False) == {40}
    assert kept_steps([10, 20], 8, tmp_path) == {10, 20}


def test_what_evaluations_find_best_and_what_was_promoted_stay(tmp_path: Path) -> None:
    run = tmp_path / "store" / "runs" / "mine" / "0123abcd"
    steps = [10, 20, 30, 40]
    for step in steps:
        log(run, step, [100.0 / step] * 10)
        folder = CheckpointLayout().folder(run, step)
        folder.mkdir(parents=True)
        (folder / COMPLETE).write_text("{}")
        held_out = {"error": {"mean": abs(step - 20)}, "episodes": [1, 2]}
        content = {"step": step, "settings": {}, "dataset_version": "1", "modality_hash": "2"}
        write_json(evaluation_file(run, step), sealed(content | {"held_out": held_out}))
    assert best_step(steps, run) == 40, "the training loss says otherwise"
    assert kept_steps(steps, 1, run) == {20, 40}
    assert kept_steps(steps, 1, run, best=False) == {20, 40}
    (tmp_path / "store" / "models" / "mine" / "0123abcd-step-000010").mkdir(parents=True)
    (tmp_path / "store" / "models" / "mine" / "other-step-000030").mkdir()
    assert kept_steps(steps, 1, run) == {10, 20, 40}


def test_the_window_is_that_of_the_manifest(tmp_path: Path) -> None:
    losses = [math.sin(number) + 3 for number in range(300)]
    for step in range(10, 301, 10):
        log(tmp_path, step, losses[step - 10 : step])
    means = {}
    for step in (100, 200, 300):
        window = final_window(losses[:step], 1)
        assert window is not None
        means[step] = window.mean
    assert best_step([100, 200, 300], tmp_path) == min(means, key=lambda step: means[step])


def test_without_metrics_nothing_is_best(tmp_path: Path) -> None:
    assert best_step([10, 20], tmp_path) is None
    assert kept_steps([10, 20], 1, tmp_path) == {20}


def test_a_torn_line_spoils_no_line_after_it(tmp_path: Path) -> None:
    log(tmp_path, 1, [1.0])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "los')
    log(tmp_path, 2, [2.0])
    log(tmp_path, 3, [3.0])
    assert read_metrics(tmp_path).columns["step"].tolist() == [1, 2, 3]
    whole = [text for text in (tmp_path / "metrics.jsonl").read_text().splitlines() if "}" in text]
    assert [json.loads(text)["step"] for text in whole] == [1, 2, 3]
