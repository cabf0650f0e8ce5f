"""What the platform asks of the trainer isaac-gr00t, through the protocol of every trainer."""

from pathlib import Path

import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT, LAUNCHER_REVISION, PYTHON
from gr00t_assets.trainers.isaac_gr00t.trainer import IsaacGr00tTrainer
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.trainers.isaac_gr00t.environments import (
    PACKAGES,
    commit_all,
    make_environment,
)

RELEASED = "nvidia/GR00T-N1.5-3B"


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IsaacGr00tTrainer:
    """With a complete environment on a machine that trains on its CPU."""
    environment = make_environment(tmp_path / "isaac")
    commit_all(environment.checkout, "all of it")
    monkeypatch.setenv(CHECKOUT, str(environment.checkout))
    monkeypatch.setenv(PYTHON, str(environment.python))
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "")
    return trainer_named("isaac-gr00t")


def test_its_report_has_the_versions_and_the_commit(
    trainer: IsaacGr00tTrainer, tmp_path: Path
) -> None:
    report = trainer.environment(Store(tmp_path / "store"))
    assert report.findings.ok and report.code_findings.ok
    assert {finding.code for finding in report.code_findings} >= {"checkout", "commit", "resume"}
    assert report.versions["torch"] == PACKAGES["torch"] and "onnx" not in report.versions
    assert report.versions["python"].startswith("3.")
    commit = report.source["commit"]
    assert trainer.revision() == f"{commit[:12]}+{LAUNCHER_REVISION}"
    assert report.source["future-tokens"] == "True"


def test_its_command_is_refused_with_everything_that_is_missing(
    trainer: IsaacGr00tTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = a_spec(tmp_path, trainer="isaac-gr00t", base_model=RELEASED)
    assert trainer.command(spec)[1:3] == ["-m", "gr00t_assets.trainers.isaac_gr00t"]
    bare = make_environment(tmp_path / "bare", {"torch": PACKAGES["torch"]})
    monkeypatch.setenv(CHECKOUT, str(bare.checkout))
    monkeypatch.setenv(PYTHON, str(bare.python))
    with pytest.raises(TrainingError, match="not complete enough") as caught:
        trainer.command(spec)
    for package in ("transformers", "pytorch3d"):
        assert any(line.startswith(f"{package}: ") for line in caught.value.details)
    monkeypatch.setenv(CHECKOUT, str(tmp_path / "nowhere"))
    with pytest.raises(TrainingError, match="is not set up for N1"):
        trainer.command(spec)


@pytest.mark.parametrize(
    ("base_model", "settings", "subject"),
    [
        ("tiny", {}, "base_model"),
        ("checkpoints/checkpoint-200", {}, "base_model"),
        (RELEASED, {"augmentation": "none"}, "augmentation"),
        (RELEASED, {"lora_full_model": True}, "lora_full_model"),
        (RELEASED, {"tune_projector": False, "tune_diffusion_model": False}, "tune_projector"),
    ],
)
def test_what_it_does_not_take_is_named_with_the_field(
    base_model: str, settings: dict[str, object], subject: str
) -> None:
    trainer = trainer_named("isaac-gr00t")
    spec = a_spec(
        Path("/store"), trainer="isaac-gr00t", base_model=base_model, hyperparameters=settings
    )
    (limit,) = trainer.limits(spec.experiment)
    assert (limit.severity, limit.subject) == ("error", subject)
    assert limit.found and limit.remedy


def test_videos_are_read_where_the_sweep_file_asks_for_them() -> None:
    trainer = trainer_named("isaac-gr00t")
    for settings, backend in (({}, None), ({"frame_source": "video"}, "decord")):
        spec = a_spec(
            Path("/store"), trainer="isaac-gr00t", base_model=RELEASED, hyperparameters=settings
        )
        assert trainer.video_backend(spec.experiment) == backend
        assert trainer.limits(spec.experiment) == []
