"""A model of a mixture: its evaluation, its class, its card, and what others can load of it."""

import json
from pathlib import Path

import pytest
import yaml

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.proposals.control_runs import origin_of
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.open_loop import current_evaluation, evaluate_run
from gr00t_assets.evaluation.result import Evaluation, EvaluationSettings, load_evaluation
from gr00t_assets.evaluation.wording import dataset_sentences, part_sentence
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.new_sweep import sweep_yaml
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.experiments.sweeps import Sweep, load_sweep
from gr00t_assets.reporting.promotion.promote import promote
from gr00t_assets.reporting.report import make_report
from gr00t_assets.reporting.research_journal import write_journal
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets_tests.trainers.conftest import train
from gr00t_assets_tests.trainers.mixtures import ARMS, MORE_ARMS, SO101, make_mixture_data, mixture

CATALOG = """\
arms: {description: Short, source: synthetic, data_config: fourier_gr1_arms_only}
more-arms: {description: Short, source: synthetic, data_config: fourier_gr1_arms_only}
so101:
  description: Short
  source: {kind: hub, repo_id: somebody/so101}
  data_config: so100_dualcam
"""
QUICK = EvaluationSettings(draws=2)
THREE = [(ARMS, 1.0), (MORE_ARMS, 1.0), (SO101, 0.5)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("mixture"))
    make_mixture_data(made)
    return made


@pytest.fixture(scope="module")
def experiment(store: Store) -> Experiment:
    asked = mixture(THREE, max_steps=4, save_steps=4, augmentation="none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: False)
        spec = make_spec(asked, store)
        place_spec(spec)
        outcome = train(spec)
        assert outcome.returncode == 0, outcome.stderr
        evaluate_run(spec.run_directory, QUICK)
    return asked


@pytest.fixture
def evaluation(experiment: Experiment, store: Store) -> Evaluation:
    read = load_evaluation(make_spec(experiment, store).run_directory)
    assert read is not None
    return read


def test_each_dataset_is_evaluated_for_itself_and_all_together(evaluation: Evaluation) -> None:
    held_out, seen = evaluation.parts
    assert [item.dataset for item in held_out.datasets] == [ARMS, SO101]
    assert [item.dataset for item in seen.datasets] == [ARMS, MORE_ARMS, SO101]
    for part in (held_out, seen):
        windows = [item.windows for item in part.datasets]
        assert part.windows == sum(windows)
        errors = [item.error.mean for item in part.datasets]
        assert min(errors) <= part.error.mean <= max(errors)
        names = [joint.name for joint in part.joints]
        assert len(set(names)) == len(names)
        assert names[0] == "arms: left_arm[0]" and names[-1] == "so101: gripper"
        assert part_sentence(part).startswith(f"{part.part}: error ")
        lines = dataset_sentences(part)
        assert lines[-1].startswith(f"{part.part}, so101: error ")
    assert "No episode of more-arms was held out: the errors on held-out" in evaluation.limits[1]
    assert evaluation.prompt_swap.tasks > 1
    assert [drawn.dataset for drawn in evaluation.trajectories] == [ARMS, ARMS]


def test_what_was_evaluated_is_known_again(
    experiment: Experiment, store: Store, evaluation: Evaluation
) -> None:
    directory = make_spec(experiment, store).run_directory
    assert current_evaluation(directory, QUICK) == evaluation
    assert Evaluation.model_validate_json(evaluation.model_dump_json()) == evaluation


def test_another_mixture_is_another_class_and_is_told_in_words(
    experiment: Experiment, store: Store, tmp_path: Path
) -> None:
    (run,) = from_store(read_runs([experiment], store))
    assert run.dataset == "arms 1 + more-arms 1 + so101 0.5"
    assert run.epochs is not None and run.epochs < 1
    again = sweep_yaml({"defaults": origin_of(run), "experiments": [{"name": "again"}]})
    (tmp_path / "next.yaml").write_text(again)
    (proposed,) = load_sweep(tmp_path / "next.yaml", [ARMS, MORE_ARMS, SO101]).experiments
    assert proposed.datasets == experiment.datasets, "what a proposal is written from"
    other = experiment.model_copy(update={"dataset": mixture(THREE[:2]).dataset})
    (stale,) = from_store(read_runs([other], store))
    assert stale.stale and stale.stored is not None
    assert stale.stored.changes == (
        "dataset arms 1 + more-arms 1 + so101 0.5, now arms 1 + more-arms 1",
    )
    spec = make_spec(other, store)
    assert spec.data.modality_hash != make_spec(experiment, store).data.modality_hash
    sweep = Sweep("small", tmp_path / "small.yaml", "", None, (experiment,))
    report = make_report([sweep], store, imported=[]).write()
    words = "arms 1 + more-arms 1 + so101 0.5"
    assert words in report.path.read_text() and words in report.markdown()
    assert words in write_journal([sweep], store, tmp_path, imported=[]).text


def test_a_promoted_mixture_has_every_robot(
    experiment: Experiment, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "datasets.yaml").write_text(CATALOG)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    record = promote(experiment, store, because="two steps for a test")
    assert record.dataset == "arms 1 + more-arms 1 + so101 0.5"
    folder = store.promoted_model(experiment.name, record.config_hash)
    card = (folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["datasets"] == ["somebody/so101"]
    assert {"fourier_gr1_arms_only", "so100_dualcam"} <= set(front["tags"])
    for line in (
        "fine-tuned on `arms 1 + more-arms 1 + so101 0.5`",
        "| embodiment tag | gr1 + new_embodiment |",
        "| episodes held out | arms: 3; more-arms: none; so101: 0 |",
        "| dataset | weight | share | samples seen | epochs | embodiment tag |",
        "| so101, version ",
        "- It was trained for the embodiment tag new_embodiment and the cameras front, wrist of "
        "so101; another robot",
        '`dataset="so101"`',
    ):
        assert line in card, line
    metadata = json.loads((folder / "experiment_cfg" / "metadata.json").read_text())
    assert list(metadata) == ["gr1", "new_embodiment"]
    policy = trainer_named("native").open_policy(folder, dataset=SO101)
    assert policy.config.embodiment_tag == "new_embodiment"
