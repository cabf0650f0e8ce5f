"""A store that version 0.1.0 made: its runs are read, ranked, evaluated, and stay as they are.

``gr00t_assets_tests/data/store_0_1_0`` was made with the code of 0.1.0: its three experiments were
trained from a base model of 108,504 random weights. Frame caches, checkpoints and all but one of
the models were left out, since they are large. A fourth run, which starts from the model of
``old-high``, was stopped at step 11 of 30; 0.1.0 itself ended it with the losses given below.
"""

import json
import shutil
from pathlib import Path

import pytest

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.comparison import compare
from gr00t_assets.core.errors import SpecError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.evaluation.open_loop import evaluate_run
from gr00t_assets.evaluation.result import EvaluationSettings
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.runs.final_loss import RULE
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.model_reference import find_run
from gr00t_assets.runs.retention.retention_rule import project_state
from gr00t_assets.runs.run_directory import LOG, MODEL, SPEC, place_spec
from gr00t_assets.runs.spec import current_config_hash, load_spec, make_spec
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets.trainers.native.native_run import run_spec
from gr00t_assets.trainers.native.trainer import REVISION
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps

MADE_BY_0_1_0 = Path(__file__).parents[1] / "data" / "store_0_1_0"
OLD_HASHES = {"old-low": "cbcdf0ca0b5d", "old-high": "b944666438be", "old-workers": "8e3a13bd2dd5"}
INTERRUPTED = "e4d73a586f35"
MEAN_BY_0_1_0 = 1.655442
"""Of the last 15 of its 30 steps."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A project whose store 0.1.0 filled; its frame cache, which is large, is left out."""
    shutil.copytree(MADE_BY_0_1_0, tmp_path / "data")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "data" / "store"))
    return Store.from_environment()


def experiments() -> dict[str, Experiment]:
    return {item.name: item for item in load_sweeps()["old"].experiments}


def contents(store: Store) -> dict[str, bytes]:
    runs = store.root / "runs"
    files = (path for path in runs.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(runs).as_posix(): path.read_bytes() for path in files}


def test_each_run_is_the_current_one_of_its_experiment_and_nothing_is_changed(store: Store):
    before = contents(store)
    runs = read_runs(list(experiments().values()), store)
    assert {run.name: run.config_hash for run in runs} == OLD_HASHES
    assert {(run.status, run.stale, run.rankable, run.problems) for run in runs} == {
        ("finished", False, True, ())
    }
    for run in runs:
        modality = load_modality_config("small", store)
        now = run.experiment.config_hash(modality.dataset_version, modality.content_hash())
        assert run.spec is not None and run.spec.current_hash == now != run.config_hash
        assert run.manifest is not None and run.manifest.final_loss is not None
        assert run.manifest.modality_hash == modality.content_hash()
        assert run.final_loss is not None and run.final_loss.rule == RULE
        assert run.final_loss.mean == pytest.approx(run.manifest.final_loss.mean)
    assert contents(store) == before


def test_the_runs_rank_in_one_class(store: Store):
    comparison = compare(from_store(read_runs(list(experiments().values()), store)))
    (group,) = comparison.ranked_classes
    places = [{run.name for run in item.runs} for item in group.ranking]
    assert places == [{"old-high", "old-workers"}, {"old-low"}], "two seeds of one configuration"


def test_a_finished_run_is_not_trained_again(store: Store):
    before = contents(store)
    for name, experiment in experiments().items():
        assert current_config_hash(experiment, store) == OLD_HASHES[name]
        spec = make_spec(experiment, store)
        assert spec.run_directory == store.run_directory(name, OLD_HASHES[name])
        assert run_spec(spec).status == "finished"
    after = contents(store)
    logs = {name for name in after if after[name] != before.get(name)}
    assert {name.rpartition("/")[2] for name in logs} <= {"log.txt"}


def test_retention_takes_the_runs_for_current(store: Store):
    state = project_state(store)
    assert {state.state_of(name, folder) for name, folder in OLD_HASHES.items()} == {"current"}
    assert state.state_of("old-low", "0" * 12) == "stale"


def build_frames(store: Store) -> None:
    config = load_modality_config("small", store)
    directory = store.dataset_directory("small", config.dataset_version)
    cameras = [camera.original_key for camera in config.video]
    cache = store.frame_cache("small", config.dataset_version)
    build_frame_cache(LeRobotDataset.open(directory, "small"), cameras, cache)


def test_an_interrupted_run_goes_on_from_its_checkpoint(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build_frames(store)
    model = store.run_directory("old-high", OLD_HASHES["old-high"]) / MODEL
    shutil.copytree(model, tmp_path / "data" / "small-base")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (experiment,) = load_sweeps()["cut"].experiments
    spec = make_spec(experiment, store)
    assert spec.config_hash == INTERRUPTED
    before = read_metrics(spec.run_directory).losses.tolist()
    manifest = run_spec(spec)
    assert (manifest.status, manifest.steps, manifest.attempts) == ("finished", 30, 2)
    assert "resuming from step 11 of 30" in (spec.run_directory / LOG).read_text()
    losses = read_metrics(spec.run_directory).losses.tolist()
    assert losses[:11] == before
    # Noise and times are drawn otherwise since revision 3 of the trainer.
    assert manifest.trainer_revision == REVISION
    assert manifest.final_loss is not None
    assert manifest.final_loss.mean == pytest.approx(MEAN_BY_0_1_0, rel=0.1)
    assert (spec.run_directory / MODEL / "model.safetensors").is_file()


def test_a_run_is_evaluated(store: Store):
    build_frames(store)
    run = find_run("old-high")
    assert run.name == OLD_HASHES["old-high"]
    evaluation = evaluate_run(run, EvaluationSettings(draws=2, max_windows=8))
    assert (evaluation.experiment, evaluation.config_hash) == ("old-high", run.name)
    assert evaluation.seen.error.mean > 0


def test_an_edited_spec_is_refused(store: Store):
    path = store.run_directory("old-low", OLD_HASHES["old-low"]) / SPEC
    content = json.loads(path.read_text())
    content["experiment"]["hyperparameters"]["learning_rate"] = 0.5
    path.write_text(json.dumps(content))
    with pytest.raises(SpecError, match="the config hash does not match the content"):
        load_spec(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trainer": "gone"}, "there is no trainer 'gone'"),
        ({"hyperparameters": {"frame_source": "video"}}, "does not take frame_source"),
    ],
)
def test_what_cannot_be_carried_over_says_which_run_why_and_what_to_do(
    store: Store, monkeypatch: pytest.MonkeyPatch, change: dict, reason: str
):
    from gr00t_assets.runs import spec as spec_module

    path = store.run_directory("old-low", OLD_HASHES["old-low"]) / SPEC
    content = json.loads(path.read_text())
    settings = content["experiment"]["hyperparameters"] | change.get("hyperparameters", {})
    content["experiment"] |= change | {"hyperparameters": settings}
    content["config_hash"] = spec_module._hash_of_format_1(content)
    path.write_text(json.dumps(content))
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    message = str(caught.value)
    assert str(path) in message and reason in message
    assert "stays as it is" in message and "materialise its experiment anew" in message


def test_a_store_that_was_moved_keeps_the_form_of_its_specs(store: Store):
    spec = make_spec(experiments()["old-low"], store)
    path = place_spec(spec)
    content = json.loads(path.read_text())
    assert (content["format"], content["store"]) == (1, str(store.root))
    assert load_spec(path).current_hash == spec.current_hash
