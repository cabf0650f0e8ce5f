import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gr00t_assets.core.errors import SimulationError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.expert_recording import record_expert, recording_digest
from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.statistics import array_statistics
from gr00t_assets.datasets.lerobot.v3.convert import convert_to_v21
from gr00t_assets.datasets.source_kinds import EnvironmentSource
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.sources.versions import content_hash
from gr00t_assets.environments.environment_file import load_environments
from gr00t_assets.environments.synthetic.pick import FOLLOWS, So101Pick
from gr00t_assets_tests.datasets.conftest import entry_of
from gr00t_assets_tests.datasets.lerobot.v3.hand_made import frames_of

SCENE = {
    "description": "A lid is lifted",
    "id": "gr00t_assets.environments.synthetic.pick:gr00t_assets/So101Pick-v0",
    "package": "gr00t-assets",
    "kwargs": {"size": 48},
    "observation": {
        "video.front": "pixels.front",
        "video.wrist": "pixels.wrist",
        "state.single_arm": "state[0:5]",
        "state.gripper": "state[5:6]",
    },
    "action": ["single_arm", "gripper"],
    "instruction": "pick up the lid",
    "success": "info.is_success",
    "max_steps": 60,
    "fps": 10,
    "seeds": 3,
    "episodes": 2,
}
CLUMSY = "gr00t_assets_tests.environments.synthetic.clumsy:gr00t_assets_tests"
ENVIRONMENTS = {
    "small": SCENE,
    "clumsy": {**SCENE, "id": f"{CLUMSY}/Clumsy-v0"},
    "hopeless": {**SCENE, "id": f"{CLUMSY}/Clumsy-v0", "kwargs": {"size": 32, "never": True}},
    "alone": {**SCENE, "id": f"{CLUMSY}/Alone-v0"},
    "muddled": {**SCENE, "action": ["single_arm", "hand"]},
}
COMMAND = (sys.executable, "-c", "from gr00t_assets.cli.main import main; main()", "dataset")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that declares the environments."""
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    (root / "data" / "environments.yaml").write_text(yaml.safe_dump(ENVIRONMENTS))
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(root))
    return root


def record(folder: Path, name: str = "small", version: str = "v2.1", **fields: Any) -> list[str]:
    lines: list[str] = []
    record_expert(EnvironmentSource(environment=name, **fields), folder, version, lines.append)
    return lines


@pytest.mark.parametrize("noise", [0.0, 2.0, (0, 2, 0, 0, 0, 0)])
def test_the_label_is_the_expert_and_the_state_what_was_executed(
    tmp_path: Path, noise: float | tuple[float, ...]
) -> None:
    record(tmp_path / "a", episodes=3, noise=noise)
    dataset = LeRobotDataset.open(tmp_path / "a")
    assert (dataset.codebase_version, dataset.fps) == ("v2.1", 10)
    assert dataset.info.features["action"].names == So101Pick.joint_names
    assert not [item for item in check_dataset(tmp_path / "a") if item.severity == "error"]
    for episode in dataset.episodes:
        state, action = (dataset.vector(episode.index, c) for c in ("observation.state", "action"))
        executed = state[:-1] + (state[1:] - state[:-1]) / FOLLOWS
        off = np.abs(executed - action[:-1])[:-4, :5].max(axis=0)
        disturbed = np.broadcast_to(noise, 6)[:5] > 0
        assert (off[~disturbed] < 1e-3).all() and (off[disturbed] > 1).all(), off
        assert (off < 20).all()


def test_both_formats_hold_the_same_rows_and_frames(tmp_path: Path) -> None:
    for version in ("v2.1", "v3.0"):
        record(tmp_path / version, version=version, episodes=3, noise=1.0)
    findings = check_dataset(tmp_path / "v3.0")
    assert not list(findings)
    assert convert_to_v21(tmp_path / "v3.0", tmp_path / "cut").warnings == ()
    one, other = (LeRobotDataset.open(tmp_path / name) for name in ("v2.1", "cut"))
    assert [item.length for item in one.episodes] == [item.length for item in other.episodes]
    for episode in one.episodes:
        for column in ("observation.state", "action", "timestamp"):
            rows = [dataset.vector(episode.index, column) for dataset in (one, other)]
            assert np.array_equal(rows[0], rows[1])
        for camera in one.cameras:
            files = [dataset.video_path(episode.index, camera) for dataset in (one, other)]
            first, second = ([frame for _, frame in frames_of(file)] for file in files)
            assert len(first) == len(second) == episode.length
    stored = json.loads((tmp_path / "v3.0" / "meta" / "stats.json").read_text())
    actions = np.concatenate([one.vector(item.index, "action") for item in one.episodes])
    for name, values in array_statistics(actions).items():
        assert np.allclose(stored["action"][name], values, atol=1e-3), name
    assert np.shape(stored["observation.images.front"]["mean"]) == (3, 1, 1)


def test_lerobot_itself_opens_what_was_recorded(tmp_path: Path, lerobot_python: Path) -> None:
    record(tmp_path / "recorded", version="v3.0", episodes=3)
    opened = LeRobotDataset.open(tmp_path / "recorded")
    script = """
import json, sys
from lerobot.datasets.lerobot_dataset import LeRobotDataset
dataset = LeRobotDataset("tests/recorded", root=sys.argv[1], video_backend="pyav")
last = dataset[len(dataset) - 1]
print(json.dumps({
    "rows": len(dataset), "episodes": dataset.num_episodes, "task": last["task"],
    "action": last["action"].tolist(), "image": list(last["observation.images.wrist"].shape),
    "mean": float(last["observation.images.wrist"].mean()),
    "std": dataset.meta.stats["action"]["std"].tolist(),
}))
"""
    command = [str(lerobot_python), "-c", script, str(tmp_path / "recorded")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    last = opened.episodes[-1]
    assert (found["rows"], found["episodes"]) == (opened.frame_count, 3)
    assert found["task"] == "pick up the lid" and found["image"] == [3, 48, 48]
    assert np.allclose(found["action"], opened_last_action(tmp_path, last.index), atol=1e-5)
    assert 0.2 < found["mean"] < 0.9 and len(found["std"]) == 6


def opened_last_action(folder: Path, episode: int) -> np.ndarray:
    convert_to_v21(folder / "recorded", folder / "cut")
    return LeRobotDataset.open(folder / "cut").vector(episode, "action")[-1]


def test_episodes_of_failure_and_seeds_of_evaluation_are_left_out(tmp_path: Path) -> None:
    (line,) = record(tmp_path / "clumsy", "clumsy", episodes=3)
    # Seeds 3 and 4 are those of evaluation; 1 and 5 fail.
    record(tmp_path / "two", "small", episodes=3, seed=0)
    clumsy, two = (LeRobotDataset.open(tmp_path / name) for name in ("clumsy", "two"))
    first = [dataset.vector(index, "action")[0] for dataset in (clumsy, two) for index in (0, 1, 2)]
    assert "2 in which the expert failed are left out" in line
    assert np.array_equal(first[0], first[3]) and np.array_equal(first[1], first[5])
    assert not any(np.array_equal(first[2], other) for other in first[3:])


@pytest.mark.parametrize(
    "name, found",
    [
        ("hopeless", "21 of 21 episodes end without success"),
        ("alone", "no expert"),
        ("muddled", "'hand': 0"),
        ("smal", "did you mean 'small'"),
        ("small", "2 numbers; its action has 6"),
    ],
)
def test_what_cannot_be_recorded_is_said(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(SimulationError, match=found):
        record(tmp_path / "none", name, episodes=2, noise=(0.1, 0.1) if name == "small" else 0.0)


def test_the_catalog_records_once_and_again_where_a_parameter_changes(store: Store) -> None:
    fields = {"kind": "environment", "environment": "small", "episodes": 2, "noise": 1.0}
    record = ingest_dataset(entry_of(fields), store)
    assert (record.episodes, record.fps, record.robot_type) == (2, 10.0, "so101_follower")
    assert record.version == content_hash(record.directory(store))
    lines: list[str] = []
    assert ingest_dataset(entry_of(fields), store, lines.append) == record
    assert lines == [f"demo: version {record.version} is in the store"]
    other = ingest_dataset(entry_of({**fields, "seed": 1}), store)
    assert other.version != record.version
    assert ingest_dataset(entry_of(fields), store).version == record.version


def test_what_decides_the_recording_decides_its_digest(project: Path) -> None:
    source = EnvironmentSource(environment="small")
    digests = {recording_digest(source)}
    digests |= {
        recording_digest(source.model_copy(update=change))
        for change in ({"episodes": 9}, {"seed": 9}, {"noise": 0.5}, {"environment": "clumsy"})
    }
    changed = {**ENVIRONMENTS, "small": {**SCENE, "kwargs": {"size": 64}}}
    (project / "data" / "environments.yaml").write_text(yaml.safe_dump(changed))
    digests.add(recording_digest(source))
    assert len(digests) == 6


def test_the_built_in_environment_is_recorded_by_a_command(tmp_path: Path) -> None:
    assert "so101-pick" in load_environments()

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    out = tmp_path / "out"
    arguments = ["record", "so101-pick", "--expert", "--episodes", "2", "--out", str(out)]
    made = command(*arguments, "--format", "v3.0", "--noise", "1,1,1,1,0,0")
    assert made.returncode == 0, made.stderr
    assert "2 episodes" in made.stdout
    assert LeRobotDataset.open(out).codebase_version == "v3.0"
    before = content_hash(out)
    again = command(*arguments)
    assert again.returncode == 1 and "there already" in again.stderr
    assert content_hash(out) == before
    unknown = command("record", "so101-pik", "--expert", "--out", str(tmp_path / "no"))
    assert unknown.returncode == 1 and "so101-pick" in unknown.stderr
    wrong = command("record", "so101-pick", "--expert", "--out", "no", "--noise", "1,x")
    assert wrong.returncode == 2 and "--noise" in wrong.stderr
    nobody = command("record", "so101-pick", "--out", str(tmp_path / "no"))
    assert nobody.returncode == 2 and "--expert" in nobody.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "project"]
