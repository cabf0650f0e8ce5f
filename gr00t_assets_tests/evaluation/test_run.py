"""Evaluations of really trained runs: held out, untrained, another robot, the other trainer."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from gr00t_assets.core.checksums import read_sealed, sealed, unsealed
from gr00t_assets.core.errors import CheckpointError, EvaluationError
from gr00t_assets.evaluation.open_loop import current_evaluation, evaluate_run
from gr00t_assets.evaluation.paired_errors import why_not_paired
from gr00t_assets.evaluation.result import (
    NOT_SUCCESS,
    Evaluation,
    EvaluationSettings,
    load_evaluation,
)
from gr00t_assets.evaluation.wording import group_rows, part_sentence
from gr00t_assets.runs.checkpoint_choice import EVALUATION
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.evaluation.conftest import QUICK
from gr00t_assets_tests.evaluation.runs import UNTRAINED, a_store, make_data, make_run
from gr00t_assets_tests.trainers.conftest import forget_hashes
from gr00t_assets_tests.trainers.isaac_gr00t.driving import IsaacSpec, drive


def test_held_out_and_seen_episodes_are_kept_apart(evaluated: Evaluation) -> None:
    assert evaluated.held_out is not None
    assert evaluated.main is evaluated.held_out
    assert (evaluated.held_out.part, evaluated.held_out.episodes) == ("held out", (4, 5, 6, 7, 8))
    assert (evaluated.seen.part, evaluated.seen.episodes) == ("seen in training", (0, 1, 2, 3))
    assert evaluated.limits[0] == NOT_SUCCESS
    assert not any("No episode" in line for line in evaluated.limits)
    assert any(
        "4 episodes of the part seen in training: with fewer than 5" in line
        for line in evaluated.limits
    )
    assert evaluated.held_out.error.interval and evaluated.seen.error.interval is None
    assert {rule.beaten for rule in evaluated.seen.baselines} == {"cannot be told"}


def test_errors_by_episode_are_kept_and_their_mean_is_the_error(evaluated: Evaluation) -> None:
    for part in evaluated.parts:
        assert len(part.episode_errors) == len(part.episodes) == part.clusters
        assert np.isclose(np.mean(part.episode_errors), part.error.mean)


def test_every_group_number_and_step_has_its_error(evaluated: Evaluation) -> None:
    part = evaluated.main
    assert [group.group for group in part.groups] == [
        *("left_arm", "right_arm", "left_hand", "right_hand")
    ]
    assert len(part.joints) == sum(group.numbers for group in part.groups) == 26
    assert part.joints[8].name == "right_arm[1]" and part.joints[8].label
    assert len(part.by_step) == evaluated.horizon == 16
    for group in part.groups:
        joints = [joint for joint in part.joints if joint.group == group.group]
        assert len(group.by_step) == len(group.by_step_in_units) == 16
        assert np.isclose(np.mean([joint.in_units.mean for joint in joints]), group.in_units.mean)
        assert np.isclose(np.mean(group.by_step_in_units), group.in_units.mean)
        assert group.held == "state"
    for estimate in (part.error, *part.by_step, *(joint.in_units for joint in part.joints)):
        assert estimate.interval is not None and estimate.standard_error is not None
        assert estimate.interval[0] <= estimate.mean <= estimate.interval[1]
        assert estimate.standard_error >= 0
    assert np.isclose(np.mean([each.mean for each in part.by_step]), part.error.mean)


def test_the_same_seeds_give_the_same_numbers(evaluated: Evaluation, trained: TrainingSpec) -> None:
    again = evaluate_run(trained.run_directory, QUICK)
    assert again.content_hash() == evaluated.content_hash()
    other = evaluate_run(trained.run_directory, QUICK.model_copy(update={"seed": 1}))
    assert other.seen.error.mean != evaluated.seen.error.mean
    assert other.seen.baselines[0].error.mean == evaluated.seen.baselines[0].error.mean
    kept = list(trained.run_directory.glob("evaluation-*.json"))
    assert len(kept) == 1
    assert Evaluation.model_validate(read_sealed(kept[0])).settings == QUICK
    assert evaluate_run(trained.run_directory, QUICK).settings == load(trained).settings


def load(spec: TrainingSpec) -> Evaluation:
    found = load_evaluation(spec.run_directory)
    assert found is not None
    return found


def test_no_use_of_the_prompt_is_found_where_it_is_cut_off(
    trained: TrainingSpec, tmp_path: Path
) -> None:
    shutil.copytree(Path(trained.store), tmp_path / "store")
    moved = trained.model_copy(update={"store": str(tmp_path / "store")})
    weights = moved.run_directory / "model" / "model.safetensors"
    tensors = load_file(weights)
    for name in ("action_head.vlln.weight", "action_head.vlln.bias"):
        tensors[name] = tensors[name] * 0
    save_file(tensors, weights)
    forget_hashes(moved.run_directory)

    found = evaluate_run(moved.run_directory, QUICK)

    assert found.language_used == "no"
    assert found.prompt_swap.other == "another task" and found.prompt_swap.tasks > 1
    assert found.prompt_swap.ratio.high is not None and found.prompt_swap.ratio.high < 1e-4
    assert abs(found.prompt_swap.error_increase.mean) < 1e-5
    assert found.prompt_swap.draw_spread.mean > 0.01


def test_an_untrained_policy_loses_to_every_rule_and_to_a_trained_one(
    evaluated: Evaluation, tmp_path: Path
) -> None:
    store = a_store(tmp_path)
    make_data(store, episodes=5)
    spec = make_run(store, **UNTRAINED)

    found = evaluate_run(spec.run_directory, QUICK)

    assert [rule.beaten for rule in found.main.baselines] == ["no"] * 4
    assert found.held_out is None and found.main is found.seen
    assert found.seen.episodes == (0, 1, 2, 3, 4)
    assert any("No episode of small was held out" in line for line in found.limits)
    trained, untrained = evaluated.main.error, found.main.error
    assert trained.interval and trained.interval[1] < untrained.mean
    assert untrained.interval and trained.mean < untrained.interval[0]


def test_two_cameras_and_one_task(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    source = {"kind": "synthetic", "robot": "so101", "episodes": 1, "min_frames": 40}
    source |= {"max_frames": 40, "width": 64, "height": 64}
    make_data(store, "so101", source=source)
    spec = make_run(store, **UNTRAINED)

    found = evaluate_run(spec.run_directory, QUICK)

    assert [group.group for group in found.seen.groups] == ["single_arm", "gripper"]
    assert found.seen.joints[-1].name == "gripper"
    assert found.language_used == "cannot be told: one task"
    assert found.prompt_swap.other == "an unrelated sentence"
    assert found.prompt_swap.difference.mean > 0


def test_a_checkpoint_of_isaac_gr00t(isaac_spec: IsaacSpec, small_checkout: Path) -> None:
    spec = isaac_spec()
    outcome = drive(spec, small_checkout)
    assert outcome.code == 0, outcome.output

    found = evaluate_run(spec.run_directory, QUICK)

    assert found.trainer == "isaac-gr00t"
    assert found.seen.windows > 2 and np.isfinite(found.seen.error.mean)
    assert load(spec) == found


def test_a_run_that_is_not_finished_says_so(trained: TrainingSpec, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="never finished"):
        evaluate_run(tmp_path)
    run = shutil.copytree(trained.run_directory, tmp_path / "run")
    manifest = unsealed(json.loads((run / "manifest.json").read_text()))
    (run / "manifest.json").write_text(json.dumps({**manifest, "status": "interrupted"}))
    with pytest.raises(CheckpointError, match="interrupted at step 40 of 40"):
        evaluate_run(run)
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "model" / "modality_config.json").unlink()
    with pytest.raises(CheckpointError):
        evaluate_run(run)
    shutil.rmtree(run / "model")
    with pytest.raises(CheckpointError, match="not there any more"):
        evaluate_run(run)


def test_a_damaged_file_is_told_and_written_anew(trained: TrainingSpec, tmp_path: Path) -> None:
    (tmp_path / EVALUATION).write_text('{"format": 1')
    with pytest.raises(EvaluationError, match="not an evaluation of format 1 or 2"):
        load_evaluation(tmp_path)
    assert load_evaluation(tmp_path / "elsewhere") is None


def test_an_evaluation_of_format_1_is_read_and_made_anew(
    evaluated: Evaluation, trained: TrainingSpec
) -> None:
    """Of version 0.2: two rules, a bootstrap, nothing by episode."""
    path = trained.run_directory / EVALUATION
    kept, old = path.read_bytes(), read_sealed(path)
    old.update(format=1, settings={**old["settings"], "resamples": 200})
    for part in (old["held_out"], old["seen"]):
        del part["episode_errors"]
        part["baselines"] = part["baselines"][:2]
        part["resampled"] = "stretches of 16 rows of 5 episodes"
        for group in (*part["groups"], *part["joints"]):
            for errors in (group.get("baselines", {}), group["baselines_in_units"]):
                errors.pop("median action", None)
                errors.pop("nearest chunks", None)
    path.write_text(json.dumps(sealed(old)))
    try:
        read = load(trained)
        assert (read.format, read.main.episode_errors, read.settings) == (1, (), QUICK)
        assert group_rows(read.main)[0][-2:] == ["", ""] != group_rows(evaluated.main)[0][-2:]
        assert "over stretches of 16 rows" in part_sentence(read.main)
        assert why_not_paired(evaluated, read) == (
            "the evaluation of small-run is of an earlier version and has no errors by episode: "
            "run gr00t-assets evaluate small-run"
        )
        assert current_evaluation(trained.run_directory, QUICK) is None
    finally:
        path.write_bytes(kept)
    assert current_evaluation(trained.run_directory, load(trained).settings) is not None


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="draws"):
        EvaluationSettings(draws=1)
