"""The rollouts of a run: its file, its videos, and when there is nothing to do."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.errors import EvaluationError, SimulationError
from gr00t_assets.environments.environment_file import Environment
from gr00t_assets.evaluation.rollouts.result import (
    BASELINES,
    Rollouts,
    declared_environment,
    load_rollouts,
    read_rollouts,
    rollouts_file,
    save_rollouts,
    settings_for,
)
from gr00t_assets.evaluation.rollouts.rollouts import (
    animated_webp,
    current_rollouts,
    roll_out_run,
    side_by_side,
)
from gr00t_assets.runs.spec import TrainingSpec


@pytest.fixture(scope="module")
def easy(environment: Environment) -> Environment:
    """An expert that knows the goal would succeed in it; anything does that moves far enough."""
    fields = {"success": "info.progress > 0.2", "episode_seconds": 1.5, "max_steps": 12}
    trouble = {"trouble": {"103": "hang"}, "trouble_at": 1}
    return environment.model_copy(update={**fields, "kwargs": {**environment.kwargs, **trouble}})


@pytest.fixture(scope="module")
def run(trained: TrainingSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained run, beside the data that it was trained on."""
    source = Path(trained.run_directory)
    copy = source.with_name("0123456789ab")
    shutil.copytree(source, copy)
    return copy


@pytest.fixture(scope="module")
def rolled(run: Path, trained: TrainingSpec, easy: Environment) -> Rollouts:
    settings = settings_for(easy, trained)
    return roll_out_run(run, easy, settings, log=lambda line: None)


def test_the_record_says_all_that_was_found(
    run: Path, rolled: Rollouts, easy: Environment, trained: TrainingSpec
) -> None:
    assert load_rollouts(run) == [rolled]
    assert read_rollouts(rollouts_file(run, "point")) == rolled
    assert [outcome.seed for outcome in rolled.policy] == list(range(100, 106))
    assert set(rolled.baselines) == set(BASELINES)
    for outcomes in rolled.baselines.values():
        assert [outcome.seed for outcome in outcomes] == [item.seed for item in rolled.policy]
        assert outcomes[3].end == "time limit"
    assert rolled.policy[3].end == "time limit" and not rolled.policy[3].success
    assert "1.5 seconds" in rolled.policy[3].note
    assert rolled.environment_hash == easy.content_hash()
    assert rolled.settings.replan_every == 4 and rolled.settings.first_seed == 100
    name, rate = rolled.best_baseline or ("", None)
    assert rate is not None and rate.rate == max(
        rolled.baseline_rate(other).rate for other in rolled.baselines
    )
    assert name in BASELINES and rolled.trainer == trained.experiment.trainer
    assert rolled.rate.episodes == 6 and rolled.mean_score is not None


def test_videos_show_the_first_successes_and_failures(run: Path, rolled: Rollouts) -> None:
    by_seed = {outcome.seed: outcome for outcome in rolled.policy}
    for success in (True, False):
        wanted = [o.seed for o in rolled.policy if o.success == success]
        names = [name for name in rolled.videos if ("success" in name) == success]
        assert [int(name.split("-")[1]) for name in names] == wanted[:3]
    assert rolled.videos
    for name in rolled.videos:
        image = Image.open(run / name)
        assert image.format == "WEBP" and (run / name).stat().st_size < 150_000
        outcome = by_seed[int(name.split("-")[1])]
        assert getattr(image, "n_frames", 1) <= outcome.steps + 1
    assert not list((run / "rollouts").rglob(".*")), "nothing half-made is left"


def test_the_same_again_gives_the_same(
    run: Path, rolled: Rollouts, easy: Environment, trained: TrainingSpec
) -> None:
    fields = {"name": "quick", "kwargs": {**easy.kwargs, "trouble": {}}}
    quick = easy.model_copy(update=fields)
    first, second = (roll_out_run(run, quick, rolled.settings, parallel=n) for n in (6, 6))
    assert first.content_hash() == second.content_hash()
    assert first.environment_hash != rolled.environment_hash
    assert read_rollouts(rollouts_file(run, "point")) == rolled


def test_only_the_same_counts_as_done(run: Path, rolled: Rollouts, easy: Environment) -> None:
    assert current_rollouts(run, easy, rolled.settings) is not None
    for other in ({"max_steps": 7}, {"success": "terminated"}):
        assert current_rollouts(run, easy.model_copy(update=other), rolled.settings) is None
    more = rolled.settings.model_copy(update={"episodes": 9})
    assert current_rollouts(run, easy, more) is None
    weights = run / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert current_rollouts(run, easy, rolled.settings) is None
    weights.write_bytes(whole)
    fewer = rolled.settings.model_copy(update={"episodes": 2})
    roll_out_run(run, easy, fewer)
    assert read_rollouts(rollouts_file(run, "point")).settings == fewer
    (earlier,) = (run / "rollouts" / "earlier").glob("*.json")
    assert read_rollouts(earlier).settings == rolled.settings


def test_rollouts_of_what_was_declared_otherwise_are_kept(tmp_path: Path, rolled: Rollouts) -> None:
    save_rollouts(rolled, tmp_path)
    save_rollouts(rolled, tmp_path)
    assert not (tmp_path / "rollouts" / "earlier").exists()
    save_rollouts(rolled.model_copy(update={"environment_hash": "another"}), tmp_path)
    (earlier,) = (tmp_path / "rollouts" / "earlier").glob("*.json")
    assert read_rollouts(earlier) == rolled


def test_a_damaged_record_is_told_or_passed_over(tmp_path: Path, rolled: Rollouts) -> None:
    path = rollouts_file(tmp_path, "point")
    path.parent.mkdir(parents=True)
    path.write_text(rolled.model_dump_json().replace("100", "1000", 1)[:-20])
    with pytest.raises(EvaluationError, match="no rollouts of format 1") as failure:
        load_rollouts(tmp_path)
    assert "gr00t-assets rollout" in str(failure.value)


def test_an_environment_that_does_not_fit_leaves_nothing(
    trained: TrainingSpec, easy: Environment, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "small-run" / "0123456789ab"
    shutil.copytree(Path(trained.run_directory), run, ignore=shutil.ignore_patterns("rollouts"))
    wrong = easy.model_copy(update={"fps": 3.0})
    with pytest.raises(SimulationError, match="declared with 3 fps"):
        roll_out_run(run, wrong, settings_for(wrong, trained))
    assert not (run / "rollouts").exists()


def test_more_actions_than_a_chunk_has_cannot_be_done(
    trained: TrainingSpec, easy: Environment
) -> None:
    assert settings_for(easy, trained, replan_every=16).replan_every == 16
    declared = easy.model_copy(update={"replan_every": 2})
    assert settings_for(declared, trained).replan_every == 2
    with pytest.raises(EvaluationError, match="replan after 1 to 16"):
        settings_for(easy, trained, replan_every=17)


def test_the_command_rolls_out_prints_and_does_not_do_it_twice(
    run: Path,
    easy: Environment,
    trained: TrainingSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "")
    (tmp_path / "data").mkdir()
    fields = easy.model_dump(exclude={"name"}, exclude_none=True)
    fields |= {"kwargs": {**easy.kwargs, "trouble": {}}, "action": list(easy.action)}
    fields["names"] = list(easy.names)
    (tmp_path / "data" / "environments.yaml").write_text(yaml.safe_dump({"mine": fields}))
    nothing = CliRunner().invoke(app, ["rollout", str(run)])
    assert isinstance(nothing.exception, EvaluationError)
    assert "no environment is declared for dataset small" in str(nothing.exception)
    assert declared_environment(trained, "mine") is not None
    command = ["rollout", str(run), "--environment", "mine", "--episodes", "4", "--replan", "2"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, (shown.output, shown.exception)
    (found,) = (item for item in load_rollouts(run) if item.environment == "mine")
    assert found.settings.replan_every == 2 and found.rate.episodes == 4
    for text in ("Clopper-Pearson", "mean action", "replay", f"{found.rate.successes} of 4"):
        assert text in shown.output
    again = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(again.stdout) == json.loads(found.model_dump_json())
    assert "nothing computed" in again.stderr
    listed = CliRunner().invoke(app, [*command, "--checkpoints", "last", "--json"])
    assert json.loads(listed.stdout) == [json.loads(found.model_dump_json())], "one document"
    unknown = CliRunner().invoke(app, ["rollout", str(run), "--environment", "mein"])
    assert isinstance(unknown.exception, SimulationError)
    assert "did you mean 'mine'" in str(unknown.exception)
    checkpoints = ["--checkpoints", "all"]
    both = CliRunner().invoke(app, ["rollout", f"{run}@1", *checkpoints])
    assert "this names a checkpoint already" in str(both.exception)
    (run / "manifest.json").unlink()  # as while it trains
    training = CliRunner().invoke(app, ["rollout", str(run), *checkpoints])
    assert "no environment is declared for dataset small" in str(training.exception)


def test_a_video_gives_quality_up_for_its_size() -> None:
    generator = np.random.default_rng(0)
    frames = [generator.integers(0, 256, (96, 128, 3), dtype=np.uint8) for _ in range(30)]
    large, small = animated_webp(frames, 10, 10_000_000), animated_webp(frames, 10, 60_000)
    assert len(small) < 60_000 < len(large)
    assert Image.open(io.BytesIO(large)).n_frames == 30  # type: ignore[attr-defined]
    shown = side_by_side({"a": frames[0], "b": np.zeros((480, 640, 3), np.uint8)})
    assert shown.shape == (96, 128 + 128, 3)
