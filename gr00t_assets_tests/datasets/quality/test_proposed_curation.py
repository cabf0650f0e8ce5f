"""What the check proposes is followed to the letter, and the finding is gone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Findings
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.fit.dataset_check import check_dataset, check_stored_dataset
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Quality
from gr00t_assets.datasets.quality.measure import measure_quality
from gr00t_assets.datasets.quality.scores import proposed_curation
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.videos import write_video
from gr00t_assets_tests.datasets.checks.edits import (
    data_file,
    edit_json,
    edit_lines,
    edit_rows,
    renew_statistics,
    set_values,
    video_file,
)
from gr00t_assets_tests.datasets.curated import catalog_entry, rest, write_resting
from gr00t_assets_tests.datasets.lerobot.v3.v30 import convert_to_v30


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_resting(tmp_path_factory.mktemp("proposed") / "good", resting=())


def _cut(file: str, size: int) -> Callable[[Path], None]:
    def cut(source: Path) -> None:
        (source / file).write_bytes((source / file).read_bytes()[:size])

    return cut


def _no_number(source: Path) -> None:
    edit_rows(source, 2, set_values("action", (3, 0), np.nan))


def _empty(source: Path) -> None:
    edit_lines(source, "episodes.jsonl", lambda lines: lines[2].update(length=0))


def _without_video(source: Path) -> None:
    (source / video_file(2)).unlink()


def _repeated(source: Path) -> None:
    rows = pq.read_table(source / data_file(1))

    def change(columns: dict[str, Any]) -> None:
        for name in columns:
            values = np.array(rows.column(name).to_pylist())
            columns[name] = np.full_like(values, 2) if name == "episode_index" else values

    edit_rows(source, 2, change)
    shutil.copyfile(source / video_file(1), source / video_file(2))
    _length(source, 2, rows.num_rows)


def _one_row(source: Path) -> None:
    edit_rows(source, 2, lambda columns: columns.update({k: v[:1] for k, v in columns.items()}))
    video = source / video_file(2)
    with av.open(str(video)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    write_video(video, iter([frame]), 20)
    _length(source, 2, 1)


def _length(source: Path, episode: int, length: int) -> None:
    edit_lines(source, "episodes.jsonl", lambda lines: lines[episode].update(length=length))
    lengths = [
        json.loads(line)["length"]
        for line in (source / "meta/episodes.jsonl").read_text().strip().split("\n")
    ]
    edit_json(source, "info.json", lambda info: info.update(total_frames=sum(lengths)))
    renew_statistics(source)


def _resting(source: Path) -> None:
    for index in range(5):
        edit_rows(source, index, rest)
    renew_statistics(source)


def _written_twice(source: Path) -> None:
    text = (source / "meta" / "tasks.jsonl").read_text().strip().split("\n")[0]
    task = json.loads(text)["task"]
    edit_lines(
        source,
        "tasks.jsonl",
        lambda lines: lines.append({"task_index": 90, "task": f" {task.capitalize()}  "}),
    )
    edit_rows(source, 2, set_values("task_index", slice(None), 90))
    for name in ("annotation.human.action.task_description", "annotation.human.coarse_action"):
        if name in pq.read_schema(source / data_file(2)).names:
            edit_rows(source, 2, set_values(name, slice(None), 90))
    edit_lines(
        source, "episodes.jsonl", lambda lines: lines[2].update(tasks=[f" {task.capitalize()}  "])
    )


def _look(directory: Path) -> tuple[Findings, Quality | None]:
    try:
        quality = measure_quality(LeRobotDataset.open(directory), None)
    except DatasetError:
        quality = None
    return check_dataset(directory), quality


EXCLUDED = {"episodes": {"exclude": [2]}}
CASES: dict[str, tuple[Callable[[Path], None], dict[str, Any], bool]] = {
    "rows cut": (_cut(data_file(2), 200), EXCLUDED, False),
    "video cut": (_cut(video_file(2), 700), EXCLUDED, False),
    "no video": (_without_video, EXCLUDED, False),
    "not a number": (_no_number, EXCLUDED, True),
    "empty": (_empty, EXCLUDED, False),
    "one row": (_one_row, EXCLUDED, False),
    "repeated": (_repeated, EXCLUDED, True),
    "at rest": (
        _resting,
        {"trim_idle": {"start": pytest.approx(1.4, abs=0.2), "end": 1.0, "threshold": 0.01}},
        True,
    ),
    "task in two ways": (_written_twice, {}, True),
}
"""What is done to the dataset, what is proposed, and whether v3.0 can have it."""


@pytest.mark.parametrize(
    ("case", "layout"),
    [
        *((name, "v2.1") for name in CASES),
        *((name, "v3.0") for name, (_, _, is_shared) in CASES.items() if is_shared),
    ],
)
def test_the_proposal_is_followed_and_nothing_is_left_to_propose(
    good: Path,
    store: Store,
    tmp_path: Path,
    case: str,
    layout: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damage, expected, _ = CASES[case]
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    source = Path(shutil.copytree(good, tmp_path / "v2.1"))
    damage(source)
    if layout == "v3.0":
        convert_to_v30(source, tmp_path / "v3.0")
        source = tmp_path / "v3.0"
    proposed = yaml.safe_load(proposed_curation(*_look(source)))
    if expected:
        assert proposed == expected
    record = ingest_dataset(catalog_entry(source, tmp_path, **proposed), store)
    stored = record.directory(store)
    findings = check_stored_dataset(record, store, None, "gr1")
    assert [item.text for item in findings.errors] == []
    assert proposed_curation(findings, _look(stored)[1], record.curated) == ""


def test_a_good_dataset_needs_none(good: Path) -> None:
    assert proposed_curation(*_look(good)) == ""


def test_numbers_of_a_curated_dataset_are_those_of_the_source(
    good: Path, store: Store, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(good, tmp_path / "source"))
    _repeated(source)
    record = ingest_dataset(catalog_entry(source, tmp_path, episodes={"exclude": [0]}), store)
    quality = _look(record.directory(store))[1]
    text = proposed_curation((), quality, record.curated)
    assert yaml.safe_load(text) == {"episodes": {"exclude": [0, 2]}}


def test_the_check_prints_the_entry(good: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(good, tmp_path / "source"))
    _no_number(source)
    printed = CliRunner().invoke(app, ["dataset", "check", str(source)])
    assert "data/datasets.yaml:\n  episodes:\n    exclude:\n    - 2" in printed.output
    as_json = CliRunner().invoke(app, ["dataset", "check", str(source), "--json"])
    assert yaml.safe_load(json.loads(as_json.stdout)["curation"]) == EXCLUDED
