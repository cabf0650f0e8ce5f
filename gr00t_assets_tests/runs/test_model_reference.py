"""From a name to weights: final, of a step, the last, the best, promoted; and their policies."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.checksums import sealed
from gr00t_assets.core.errors import CheckpointError, EvaluationError, Gr00tAssetsError, SweepError
from gr00t_assets.core.files import write_json
from gr00t_assets.evaluation.open_loop import current_evaluation, evaluate_run
from gr00t_assets.evaluation.result import EvaluationSettings
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.checkpoint_choice import ROLLOUTS, best_weights, evaluation_file
from gr00t_assets.runs.manifest import MANIFEST, load_manifest
from gr00t_assets.runs.model_reference import asked_checkpoints, find_model
from gr00t_assets.trainers.policy import Observations, Policy
from gr00t_assets_tests.reporting.promotion.conftest import Trained, evaluated_once, trained

__all__ = ["evaluated_once", "trained"]

QUICK = EvaluationSettings(draws=2)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def checkpoint(trained: Trained, step: int) -> Path:
    return trained.run / "checkpoints" / f"step-{step:06d}"


def actions(policy: Policy) -> np.ndarray:
    config = policy.config
    frames = np.full((1, len(config.video), config.video[0].height, config.video[0].width, 3), 90)
    states = np.zeros((1, 1, config.max_state_dim), np.float32)
    asked = Observations(frames.astype(np.uint8), states, ["pick it up"])
    return np.concatenate(list(policy.actions(asked).values()), axis=-1)


def opened(folder: Path) -> np.ndarray:
    return actions(trainer_named("native").open_policy(folder, device="cpu"))


def test_a_name_a_run_and_a_folder_are_weights(trained: Trained):
    final, run = trained.run / "model", str(trained.run)
    for reference in ("small-run", "small-run@4", "small-run@last", run, f"{run}@4", str(final)):
        assert find_model(reference)[:5] == ("small-run", final, "native", trained.run, None)
    step = ("small-run@2", checkpoint(trained, 2), "native", trained.run, 2)
    for reference in ("small-run@2", f"{run}@2", str(checkpoint(trained, 2))):
        assert find_model(reference)[:5] == step


def test_what_is_not_there_is_told_with_what_is(trained: Trained, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"steps of the weights that it has: 2, 4 \(final\)"):
        find_model("small-run@3")
    with pytest.raises(CheckpointError, match="no weights 'newest'"):
        find_model("small-run@newest")
    with pytest.raises(SweepError, match="did you mean 'small-run'"):
        find_model("smal-run@2")
    with pytest.raises(CheckpointError, match="holds no weights that can be opened"):
        find_model(str(tmp_path))
    with pytest.raises(CheckpointError, match=r"evaluate .* --checkpoints all"):
        find_model("small-run@best")
    (trained.run / "evaluation.json").write_text('{"held_out": null}')
    with pytest.raises(CheckpointError, match="held out: name a step, as small-run@4"):
        find_model("small-run@best")
    (trained.run / MANIFEST).unlink()
    with pytest.raises(CheckpointError, match="has no final weights: it was never finished"):
        find_model("small-run")
    assert find_model("small-run@last").step == 4
    shutil.rmtree(trained.run)
    with pytest.raises(EvaluationError, match="was not run"):
        find_model("small-run")


def test_a_promoted_model_stands_for_its_run_when_that_is_gone(trained: Trained):
    trained.promote()
    assert find_model(str(trained.promoted)).directory == trained.promoted
    shutil.rmtree(trained.run)
    reference = find_model("small-run")
    assert (reference.directory, reference.run_directory) == (trained.promoted, None)
    trained.promoted.rename(trained.promoted.with_name("0123456789ab"))
    with pytest.raises(Gr00tAssetsError, match=r"promoted: .*0123456789ab"):
        find_model("small-run")


def test_checkpoints_are_asked_for_in_words(trained: Trained):
    def steps(asked: str) -> list[int | None]:
        return [reference.step for reference in asked_checkpoints(trained.run, asked)]

    assert steps("all") == [2, None]
    assert steps("last") == steps("every 3") == [None]
    assert steps("every 2") == steps("every:2") == [2, None]
    for wrong in ("every", "every 0", "best", ""):
        with pytest.raises(EvaluationError, match="expected all, last, or 'every N'"):
            steps(wrong)


def test_the_policy_of_a_checkpoint_is_the_model_at_its_step(trained: Trained):
    """The last checkpoint gives the final model's actions to the last digit, an earlier one not."""
    final = opened(trained.run)
    assert np.array_equal(opened(checkpoint(trained, 4)), final)
    assert not np.array_equal(opened(checkpoint(trained, 2)), final)
    (checkpoint(trained, 4) / "optimizer.safetensors").unlink()
    marker = checkpoint(trained, 4) / "complete.json"
    marker.rename(marker.with_name("weights.json"))
    assert np.array_equal(opened(checkpoint(trained, 4)), final), "without its optimizer state"
    with (checkpoint(trained, 2) / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(CheckpointError, match="this checkpoint is corrupt"):
        opened(checkpoint(trained, 2))


def test_an_evaluation_of_a_checkpoint_stands_beside_that_of_the_run(trained: Trained):
    before = evaluation_file(trained.run).read_bytes()
    evaluation = evaluate_run(trained.run, QUICK, step=2)
    assert evaluation.step == 2
    assert current_evaluation(trained.run, QUICK, 2) == evaluation
    assert (trained.run / "evaluations" / "step-000002.json").is_file()
    assert evaluation_file(trained.run).read_bytes() == before
    other = evaluate_run(trained.run, QUICK.model_copy(update={"seed": 1}), step=2)
    assert current_evaluation(trained.run, QUICK, 2) is None and other.settings.seed == 1
    assert len(list((trained.run / "evaluations").iterdir())) == 2, "the earlier one is kept"


def score(trained: Trained, step: int | None, error: float, **changes: object) -> None:
    """Put an error into the evaluation of a step; the rest is that of the final weights."""
    content = json.loads(evaluation_file(trained.run).read_text()) | {"step": step, **changes}
    del content["checksum"]
    content["held_out"]["error"]["mean"] = error
    write_json(evaluation_file(trained.run, step), sealed(content))


def roll(trained: Trained, step: int | None, successes: int, seed: int = 1000) -> None:
    """Put rollouts of ten episodes beside the run."""
    outcomes = [{"success": number < successes} for number in range(10)]
    content = {"step": step, "environment": "table", "environment_hash": "0", "policy": outcomes}
    name = "table" if step is None else f"table@{step}"
    record = sealed(content | {"settings": {"first_seed": seed}})
    write_json(trained.run / ROLLOUTS / f"{name}.json", record)


def test_the_best_is_chosen_by_success_before_held_out_error(trained: Trained):
    def best() -> tuple[int | None, str]:
        reference = find_model("small-run@best")
        assert reference.why is not None
        return reference.step, reference.why

    for step, error in ((2, 0.4), (None, 0.5)):
        score(trained, step, error)
    assert best()[0] == 2
    assert "by held-out error: its error on held-out episodes is 0.4, against 0.5" in best()[1]
    roll(trained, None, 7)
    assert best()[0] == 2, "one rollout compares with nothing"
    roll(trained, 2, 6)
    assert best()[0] is None and "7 of 10 rollouts in table succeed" in best()[1]
    roll(trained, 2, 7)
    assert best()[0] == 2, "of equal success the lower held-out error"
    score(trained, 2, 0.5)
    assert best()[0] == 2, "of equal both the earlier"
    roll(trained, None, 9, seed=0)
    assert best()[0] == 2 and "held-out error" in best()[1], "other seeds do not compare"
    assert "optimistic" in best()[1]


def test_training_loss_chooses_nothing(trained: Trained):
    """Evaluations with other settings, or that are damaged, leave open which is best."""
    score(trained, 2, 0.4, settings={"draws": 99})
    assert "fewer than 2" in str(best_weights(trained.run))
    score(trained, 2, 0.4)
    assert not isinstance(best_weights(trained.run), str)
    evaluation_file(trained.run, 2).write_text("{")
    assert "fewer than 2" in str(best_weights(trained.run)), "a damaged one is none"
    shutil.rmtree(checkpoint(trained, 2))
    only = best_weights(trained.run)
    assert not isinstance(only, str) and "the only weights that this run has" in only.why
    manifest = load_manifest(trained.run)
    assert manifest is not None and only.step == manifest.steps
