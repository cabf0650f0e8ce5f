"""Datasets that LeRobot itself wrote: looked at where they lie, read to the value, trained on."""

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.modality.config import ModalityConfig, load_modality_config
from gr00t_assets.modality.data_config import BUILT_IN
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets_tests.datasets.taken import (
    Taken,
    assert_frames,
    cached_frames,
    joined_frames,
    take,
    with_modality,
)
from gr00t_assets_tests.datasets.videos import content
from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.harness.lerobot_writer import BIMANUAL, EDITS, Recording, record

COMMAND = (sys.executable, "-c", "from gr00t_assets.cli.main import main; main()")

RECORDINGS = {
    "so101": Recording(
        tasks=(
            ("lege den Würfel in die Schüssel",),
            ("pick up\u2028the cube",),
            ("open the gripper", "close the gripper"),
        ),
        columns={"observation.contact": ("bool", (1,)), "action.gripper_steps": ("int64", (1,))},
        resumed_after=2,
    ),
    "so101-images": Recording(use_videos=False),
    "bimanual": Recording(
        joints=BIMANUAL,
        cameras=("cam_high", "cam_left_wrist", "cam_right_wrist"),
        robot_type="aloha",
    ),
    "odd-columns": Recording(
        columns={
            "observation.tool_pose": ("float32", (2, 3)),
            "observation.forces": ("float64", (6, 1)),
            "observation.buttons": ("bool", (3,)),
            "observation.note": ("string", (1,)),
        },
        depth=("depth",),
    ),
}

TINY = {"batch_size": 2, "max_steps": 40, "save_steps": 40, "logging_steps": 10}


@pytest.fixture(scope="module")
def written(lerobot_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recordings, by name."""
    folder = tmp_path_factory.mktemp("written")
    record(lerobot_python, RECORDINGS, folder, edited=True)
    return folder


@pytest.fixture(scope="module", params=["so101", "so101-images", *EDITS])
def taken(
    request: pytest.FixtureRequest, written: Path, tmp_path_factory: pytest.TempPathFactory
) -> Taken:
    """A recording, or what LeRobot's tools make of it, in a store with its frames."""
    source, episodes = EDITS.get(request.param, (request.param, (0, 1, 2)))
    folder = written / request.param
    return take(folder, RECORDINGS[source], episodes, tmp_path_factory.mktemp("taken"))


def test_nothing_that_lerobot_writes_is_an_error(written: Path) -> None:
    before = content(written)
    errors = {
        f"{name}: {finding.subject}: {finding.text}"
        for name in (*RECORDINGS, *EDITS)
        for finding in check_dataset(written / name)
        if finding.severity == "error" and finding.code != "modality-missing"
    }
    assert errors == set()
    assert content(written) == before


def test_averaged_quantiles_are_a_warning(written: Path, tmp_path: Path) -> None:
    for name in ("so101", "so101-images", "odd-columns"):
        findings = check_dataset(with_modality(written / name, tmp_path / name), "so100_dualcam")
        assert findings.ok, [finding.text for finding in findings if finding.severity == "error"]
        assert any("q01" in finding.text or "quantile" in finding.text for finding in findings)


def test_odd_columns_and_depth_are_named_and_do_not_block(written: Path, tmp_path: Path) -> None:
    folder = with_modality(written / "odd-columns", tmp_path / "odd-columns")
    findings = check_dataset(folder, "so100_dualcam")
    texts = [f"{finding.subject} {finding.text}" for finding in findings]
    for name in ("observation.tool_pose", "observation.forces", "observation.images.depth"):
        assert any(name in text for text in texts), (name, texts)


def test_every_row_is_the_recorded_one(taken: Taken) -> None:
    recording, dataset = taken.recording, taken.dataset
    assert [episode.index for episode in dataset.episodes] == list(range(len(taken.episodes)))
    for episode, source in zip(dataset.episodes, taken.episodes, strict=True):
        assert episode.length == recording.lengths[source]
        for column in ("observation.state", "action", *recording.columns):
            rows = recording.values(column, source).astype(np.float64)
            np.testing.assert_array_equal(dataset.vector(episode.index, column), rows)
        times = np.arange(episode.length) / recording.fps
        np.testing.assert_allclose(dataset.timestamps(episode.index), times, atol=1e-6)


def test_the_model_is_fed_each_row_with_its_own_instruction(taken: Taken) -> None:
    rows = Demonstrations(taken.dataset, taken.cache, taken.config)
    for index, source in enumerate(taken.episodes):
        assert rows.texts(rows.rows(index)) == taken.recording.instructions(source)


def test_statistics_are_those_of_the_rows(taken: Taken) -> None:
    for key in (*taken.config.state, *taken.config.action):
        column = [taken.recording.values(key.original_key, source) for source in taken.episodes]
        rows = np.concatenate(column).astype(np.float64)[:, key.start : key.end]
        expected = {
            "min": rows.min(axis=0),
            "max": rows.max(axis=0),
            "mean": rows.mean(axis=0),
            "std": rows.std(axis=0),
            "q01": np.quantile(rows, 0.01, axis=0),
            "q99": np.quantile(rows, 0.99, axis=0),
        }
        for name, numbers in expected.items():
            stored = getattr(key.statistics, name)
            np.testing.assert_allclose(stored, numbers, rtol=1e-6, err_msg=f"{name} of {key.key}")


def test_every_frame_is_that_of_its_row(taken: Taken) -> None:
    for camera in taken.recording.cameras:
        if (taken.folder / "videos").is_dir():
            key = f"observation.images.{camera}"
            episodes = [cached_frames(taken, key, index) for index in range(len(taken.episodes))]
            np.testing.assert_array_equal(
                np.concatenate(episodes), joined_frames(taken.folder, key)
            )
        if taken.recording.use_videos == (taken.folder / "videos").is_dir():
            assert_frames(taken.recording, taken.cache, camera, taken.episodes)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that knows no dataset yet."""
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("name", ["so101", "so101-images", "bimanual"])
def test_it_is_added_and_trained_on_without_an_edit_by_hand(
    project: Project, written: Path, name: str
) -> None:
    recording, before = RECORDINGS[name], content(written / name)
    added = project.run(*COMMAND, "dataset", "add", str(written / name), "--name", name, "--yes")
    assert added.returncode == 0, added.stdout
    drafted = (project.root / "data" / "datasets" / name / "modality.json").read_text()
    for column in recording.columns:
        assert column in drafted or column in added.stdout, column

    materialized = project.materialize("dataset,modality_config,frame_cache", name)
    assert materialized.returncode == 0, materialized.stdout
    config = load_modality_config(name, project.store)
    assert config.state_dim >= len(recording.joints) <= config.action_dim
    assert len(config.video) == len(recording.cameras)
    record = load_record(name, project.store)
    cache = FrameCache.open(project.store.frame_cache(name, record.version))
    for camera in recording.cameras:
        assert_frames(recording, cache, camera, range(len(recording.lengths)))

    if name == "bimanual":
        assert_draft_has_every_joint(config, project)

    sweep = {"experiments": [{"name": f"{name}-tiny", "dataset": name, "hyperparameters": TINY}]}
    (project.root / "data" / "sweeps" / f"{name}.yaml").write_text(yaml.safe_dump(sweep))
    trained = project.materialize("checkpoint,open_loop_evaluation", f"{name}-tiny")
    assert trained.returncode == 0, trained.stdout
    (run,) = (project.store.root / "runs" / f"{name}-tiny").iterdir()
    manifest = load_manifest(run)
    assert manifest is not None and manifest.steps == TINY["max_steps"]
    assert set(manifest.checks.values()) == {True}
    assert list(run.glob("evaluation*"))
    assert content(written / name) == before


def assert_draft_has_every_joint(config: ModalityConfig, project: Project) -> None:
    """No built-in data config fits the robot, so one was drafted; its keys share out all joints."""
    assert not (BUILT_IN / f"{config.data_config}.yaml").exists()
    assert list((project.root / "data").rglob(f"{config.data_config}.yaml"))
    for column, keys in (("observation.state", config.state), ("action", config.action)):
        assert {key.original_key for key in keys} == {column}
        numbers = [number for key in keys for number in range(key.start, key.end)]
        assert sorted(numbers) == list(range(len(BIMANUAL)))
