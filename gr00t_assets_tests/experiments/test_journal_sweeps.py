"""The examples: off unless asked for; the journal's sweeps hold what its runs were."""

import csv
import shutil
from pathlib import Path

import pytest

from gr00t_assets.comparison.all_runs import chosen_runs
from gr00t_assets.core.errors import SweepError
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.datasets.source_kinds import GitSource, HubSource
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import hyperparameters_model
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.n15.n15_hyperparameters import N15Hyperparameters
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "data" / "examples"
FAILED_TWIN = "batch_size_8_failed"
SETTINGS = (
    "learning_rate", "batch_size", "max_steps", "warmup_ratio", "weight_decay", "tune_llm",
    "tune_visual", "tune_projector", "tune_diffusion_model", "dataloader_num_workers",
    "save_steps", "video_backend", "lr_scheduler_type", "seed",
)  # fmt: skip

with (EXAMPLES / "journal" / "runs.csv").open(newline="") as file:
    RUNS = list(csv.DictReader(file))


@pytest.fixture(scope="module")
def catalog() -> dict[str, CatalogEntry]:
    """The examples' datasets, and those that everybody has, as commands read them."""
    own = load_catalog(EXAMPLES.parent / "datasets.yaml")
    return {**own, **load_catalog(EXAMPLES / "datasets.yaml")}


@pytest.fixture(scope="module")
def sweeps(catalog: dict[str, CatalogEntry]) -> dict[str, Sweep]:
    return load_sweeps(EXAMPLES / "sweeps", catalog)


@pytest.fixture(scope="module")
def journal(sweeps: dict[str, Sweep]) -> dict[str, Experiment]:
    return {item.name: item for item in sweeps["journal-2025-06"].experiments}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder ``data`` of a project with the checked-in files."""
    for name in ("sweeps", "examples", "data_configs"):
        shutil.copytree(ROOT / "data" / name, tmp_path / "data" / name)
    shutil.copy(ROOT / "data" / "datasets.yaml", tmp_path / "data")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    return tmp_path / "data"


def test_examples_are_there_only_where_they_are_switched_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ["demo-batch-size", "demo"]
    assert list(load_sweeps()) == own and not chosen_runs(imported=True)
    assert list(load_catalog()) == ["synthetic-pick-n-place", "so101-pick"]
    monkeypatch.setenv("GR00T_ASSETS_EXAMPLES", "0")
    assert list(load_sweeps()) == own
    monkeypatch.setenv("GR00T_ASSETS_EXAMPLES", "1")
    journal = ["demo-overfit", "journal-2025-06", "n1.7", "pick-n-place", "so101"]
    assert list(load_sweeps()) == [*own, *journal]
    assert [run.run_id for run in chosen_runs(imported=True)] == [run["run_id"] for run in RUNS]
    assert "so101-table-cleanup" in load_catalog()


def test_what_is_ones_own_stays_beside_the_examples(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_EXAMPLES", "1")
    examples = (EXAMPLES / "datasets.yaml").read_text().replace("  embodiment_tag: gr1\n", "")
    (project / "datasets.yaml").write_text(examples)
    assert load_catalog()["robot_sim.PickNPlace"].embodiment_tag == "new_embodiment"
    shutil.copy(project / "examples" / "sweeps" / "so101.yaml", project / "sweeps")
    known = [*load_catalog(), "synthetic-pick-n-place", "so101-pick"]
    with pytest.raises(SweepError, match=r"(?s)examples/sweeps/so101\.yaml.*sweep of this name"):
        load_sweeps(datasets=known)


def upstream_name(entry: CatalogEntry) -> str:
    """The dataset's name where it comes from."""
    if isinstance(entry.source, GitSource):
        return entry.source.path.split("/")[-1]
    assert isinstance(entry.source, HubSource)
    return entry.source.repo_id.split("/")[-1]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["run_id"])
def test_each_run_of_the_journal_is_an_experiment_with_its_settings(
    run: dict[str, str], journal: dict[str, Experiment], catalog: dict[str, CatalogEntry]
) -> None:
    experiment = journal[run["name"].replace(FAILED_TWIN, "batch_size_8")]
    asked = hyperparameters_model("isaac-gr00t").model_validate(
        {name: run[name] for name in SETTINGS}
    )
    found = experiment.hyperparameters
    assert {name: getattr(found, name) for name in SETTINGS} == {
        name: getattr(asked, name) for name in SETTINGS
    }
    assert found == asked
    entry = catalog[experiment.dataset_name]
    assert (upstream_name(entry), entry.data_config) == (run["dataset"], run["data_config"])


def test_the_ten_runs_are_nine_experiments_and_three_are_proposed(
    journal: dict[str, Experiment],
) -> None:
    ran = [run["name"] for run in RUNS if run["name"] != FAILED_TWIN]
    assert len(RUNS) == 10
    assert list(journal) == [*ran, "ultimate_configuration", "even_lower_lr", "cosine_schedule"]
    settings = [item.hyperparameters.model_dump_json() for item in journal.values()]
    assert len(set(settings)) == len(settings)


def test_what_the_journal_proposes_next_is_what_it_names(journal: dict[str, Experiment]) -> None:
    points = [
        (found.learning_rate, found.batch_size, found.max_steps, found.lr_scheduler_type)
        for found in (N15Hyperparameters.of(item) for item in list(journal.values())[-3:])
    ]
    assert points == [
        (1e-4, 8, 3000, "cosine"),
        (5e-5, 8, 4000, "cosine"),
        (1e-4, 8, 2000, "cosine"),
    ]


def test_they_train_as_then_but_for_the_frames(
    journal: dict[str, Experiment], catalog: dict[str, CatalogEntry]
) -> None:
    for experiment in journal.values():
        assert experiment.trainer == "isaac-gr00t"
        assert experiment.base_model == "nvidia/GR00T-N1.5-3B"
        assert catalog[experiment.dataset_name].embodiment_tag == "new_embodiment"
        assert IsaacHyperparameters.of(experiment).frame_source == "cache"
        tags = () if experiment.name == "blog_exact" else ("demo-data", "pick-place")
        assert experiment.tags[: len(tags)] == tags


def test_every_experiment_says_what_is_expected_of_it(sweeps: dict[str, Sweep]) -> None:
    for name in ("journal-2025-06", "so101", "demo-overfit"):
        said = [item.hypothesis for item in sweeps[name].experiments]
        assert all(len(hypothesis) > 40 for hypothesis in said)
        assert len(set(said)) == len(said)
        assert sweeps[name].schedule is None


def test_the_recommended_full_training_has_the_tutorials_settings(
    sweeps: dict[str, Sweep], journal: dict[str, Experiment]
) -> None:
    (full,) = sweeps["so101"].experiments
    assert (full.dataset, full.trainer) == ("so101-table-cleanup", "isaac-gr00t")
    assert full.hyperparameters == IsaacHyperparameters(video_backend="torchvision_av")
    assert full.config_hash("v", "m") == journal["blog_exact"].config_hash("v", "m")


def test_the_two_recommended_overfitting_configurations(
    sweeps: dict[str, Sweep], catalog: dict[str, CatalogEntry]
) -> None:
    settings = [
        (found.learning_rate, found.batch_size, found.max_steps, found.warmup_ratio,
         found.weight_decay)
        for found in (N15Hyperparameters.of(item) for item in sweeps["demo-overfit"].experiments)
    ]  # fmt: skip
    assert settings == [(2.5e-4, 1, 1500, 0.01, 0.0), (1e-4, 1, 2000, 0.01, 0.0)]
    (dataset,) = sweeps["demo-overfit"].datasets
    assert catalog[dataset].embodiment_tag == "gr1"
