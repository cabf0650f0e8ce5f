"""A dataset that is curated: drawn, with an episode at rest at its ends, and its catalog entry."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets_tests.datasets.checks.edits import CAMERA, data_file, edit_rows, renew_statistics
from gr00t_assets_tests.datasets.lerobot.v3.hand_made import frames_of

FPS = 20
SPEC = SyntheticSource(episodes=5, min_frames=70, max_frames=80, width=64, height=64)
RESTING, RESTING_END = 30, 20
"""Rows at rest at the start and the end of episode 1."""


def write_resting(directory: Path, resting: Sequence[int] = (1,)) -> Path:
    """Write the dataset in v2.1; its tasks hold U+2028."""
    generate(SPEC, directory)
    tasks = directory / "meta" / "tasks.jsonl"
    tasks.write_text(tasks.read_text().replace("pick", "greif\u2028"), encoding="utf-8")
    for index in resting:
        edit_rows(directory, index, rest)
    texts = [json.loads(line)["task"] for line in tasks.read_text().strip().split("\n")]
    episodes = directory / "meta" / "episodes.jsonl"
    lines = [json.loads(line) for line in episodes.read_text().strip().split("\n")]
    for line in lines:
        rows = pq.read_table(directory / data_file(line["episode_index"]))
        line["tasks"] = [texts[index] for index in sorted(set(rows["task_index"].to_pylist()))]
    episodes.write_text("".join(json.dumps(line) + "\n" for line in lines))
    renew_statistics(directory)
    return directory


def rest(columns: dict[str, Any]) -> None:
    """Let the robot rest at the ends of an episode."""
    for name in ("observation.state", "action"):
        columns[name][:RESTING] = columns[name][RESTING]
        columns[name][-RESTING_END:] = columns[name][-RESTING_END]


def catalog_entry(source: Path, project: Path, **fields: Any) -> CatalogEntry:
    """The entry ``demo`` as it is read from a project's catalog."""
    file = project / "data" / "datasets.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "description": "a test",
        "source": {"kind": "folder", "path": str(source)},
        "data_config": "fourier_gr1_arms_only",
        "embodiment_tag": "gr1",
    }
    file.write_text(yaml.safe_dump({"demo": entry | fields}, sort_keys=False, allow_unicode=True))
    return load_catalog(file)["demo"]


def assert_episode(
    dataset: LeRobotDataset, index: int, original: LeRobotDataset, number: int, first: int = 0
) -> None:
    """Rows and frames are those of the original from its row ``first`` on."""
    rows, length = dataset.read_episode(index), dataset.episode(index).length
    before = original.read_episode(number).slice(first, length)
    counting = {"episode_index", "index", "frame_index", "timestamp"}
    for name in set(rows.column_names) - counting:
        assert rows.column(name).to_pylist() == before.column(name).to_pylist(), name
    assert set(rows["episode_index"].to_pylist()) == {index}
    assert rows["frame_index"].to_pylist() == list(range(length))
    np.testing.assert_allclose(dataset.timestamps(index), np.arange(length) / FPS, atol=1e-5)
    start = sum(episode.length for episode in dataset.episodes[:index])
    assert rows["index"].to_pylist() == list(range(start, start + length))
    shown = frames_of(dataset.video_path(index, CAMERA))
    source = frames_of(original.video_path(number, CAMERA))[first : first + length]
    assert [image for _, image in shown] == [image for _, image in source]
    assert [float(time) for time, _ in shown] == pytest.approx(np.arange(length) / FPS)
