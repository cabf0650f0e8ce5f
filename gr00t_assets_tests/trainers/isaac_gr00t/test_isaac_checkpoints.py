"""Which of the checkpoints in a run directory Isaac-GR00T's trainer may go on from."""

import json
from pathlib import Path

import pytest

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.runs.checkpoint_layout import COMPLETE
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import LAYOUT, latest_checkpoint
from gr00t_assets.trainers.run_files import remove_partial
from gr00t_assets_tests.defs.specs import a_spec


@pytest.fixture
def spec(tmp_path: Path) -> TrainingSpec:
    return a_spec(tmp_path, trainer="isaac-gr00t", hyperparameters={"max_steps": 40})


def leave(spec: TrainingSpec, step: int, *, complete: bool = True, owner: str = "") -> Path:
    """A checkpoint as the launcher leaves it, or as a kill does."""
    folder = LAYOUT.folder(spec.run_directory, step)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    record = {
        "step": step,
        "config_hash": owner or spec.config_hash,
        "wall_seconds": step / 2,
        "samples_seen": step * 8,
        "files": {"model.safetensors": 100},
    }
    if complete:
        (folder / COMPLETE).write_text(json.dumps(record))
    return folder


def test_no_checkpoint_is_none(spec: TrainingSpec) -> None:
    assert latest_checkpoint(spec) is None


def test_the_highest_step_counts_not_the_last_name(spec: TrainingSpec) -> None:
    for step in (9, 10, 2):
        leave(spec, step)
    latest = latest_checkpoint(spec)
    assert latest is not None
    assert (latest.step, latest.wall_seconds) == (10, 5.0)


def test_what_a_kill_cut_short_is_passed_over_and_removed(spec: TrainingSpec) -> None:
    whole, cut = leave(spec, 2), leave(spec, 4, complete=False)
    latest = latest_checkpoint(spec)
    remove_partial(spec.run_directory, LAYOUT, weights_only=True)
    assert latest is not None
    assert (latest.step, whole.is_dir(), cut.exists()) == (2, True, False)


def test_other_folders_are_left_alone(spec: TrainingSpec) -> None:
    leave(spec, 2)
    other = LAYOUT.folder(spec.run_directory, 2).parent / "checkpoint-best"
    other.mkdir()
    remove_partial(spec.run_directory, LAYOUT, weights_only=True)
    assert other.is_dir()


def test_another_runs_checkpoint_is_refused(spec: TrainingSpec) -> None:
    leave(spec, 4, owner="0" * 12)
    with pytest.raises(CheckpointError, match="belongs to another run"):
        latest_checkpoint(spec)


def test_a_renamed_checkpoint_is_refused(spec: TrainingSpec) -> None:
    folder = leave(spec, 2)
    folder.rename(folder.with_name("checkpoint-4"))
    with pytest.raises(CheckpointError, match="it is step 2"):
        latest_checkpoint(spec)


def test_a_file_that_was_cut_is_named(spec: TrainingSpec) -> None:
    folder = leave(spec, 2)
    (folder / "model.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(CheckpointError, match="has 40 bytes, 100 were written"):
        latest_checkpoint(spec)
