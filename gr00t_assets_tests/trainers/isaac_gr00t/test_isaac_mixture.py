"""Isaac-GR00T's trainer on a mixture: what the script can do, and what is refused in words."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import LAYOUT
from gr00t_assets.trainers.isaac_gr00t.limits import refuse
from gr00t_assets.trainers.isaac_gr00t.script_interface import RELEASE
from gr00t_assets.trainers.isaac_gr00t.shell_command import shell_command
from gr00t_assets_tests.defs.project import make_project
from gr00t_assets_tests.small_dataset import small_dataset
from gr00t_assets_tests.trainers.isaac_gr00t.driving import drive, losses_of, manifest_of
from gr00t_assets_tests.trainers.mixtures import ARMS, MORE_ARMS, SO101, make_mixture_data, mixture

RELEASED = "nvidia/GR00T-N1.5-3B"


@pytest.fixture(scope="module")
def mixture_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("isaac-mixture"))
    make_mixture_data(store)
    return store.root


@pytest.fixture
def spec(mixture_data: Path, small_base: Path, tmp_path: Path) -> TrainingSpec:
    shutil.copytree(mixture_data, tmp_path / "store")
    experiment = mixture([(ARMS, 1), (MORE_ARMS, 1)], "isaac-gr00t", dataloader_num_workers=0)
    changed = experiment.model_copy(update={"base_model": str(small_base)})
    return make_spec(changed, Store(tmp_path / "store"))


def test_it_trains_on_the_rows_of_both_with_one_normalisation(
    spec: TrainingSpec, small_checkout: Path
) -> None:
    outcome = drive(spec, small_checkout)
    assert outcome.code == 0, outcome.output
    manifest, rows = manifest_of(spec), [dataset.rows for dataset in spec.datasets]
    assert manifest.dataset == "arms 1 + more-arms 1"
    assert manifest.dataset_frames == sum(rows)
    assert f"train dataset length: {sum(rows)}" in outcome.output, "without what is held out"
    arms, more = manifest.datasets
    assert arms.share == pytest.approx(rows[0] / sum(rows))
    assert arms.samples_seen + more.samples_seen == manifest.samples_seen == 16
    assert arms.frames_verified and more.frames_verified

    model = spec.run_directory / MODEL / "experiment_cfg" / "metadata.json"
    at_last = LAYOUT.folder(spec.run_directory, 4) / "experiment_cfg" / "metadata.json"
    ours, theirs = (json.loads(path.read_text())["gr1"] for path in (model, at_last))
    assert ours["modalities"].keys() == theirs["modalities"].keys()
    for part in ("state", "action"):
        for key, statistics in ours["statistics"][part].items():
            for name, values in statistics.items():
                assert values == pytest.approx(theirs["statistics"][part][key][name], abs=1e-9)


def test_resumed_it_draws_the_same_samples(spec: TrainingSpec, small_checkout: Path) -> None:
    assert drive(spec, small_checkout).code == 0
    whole = losses_of(spec)
    (spec.run_directory / "manifest.json").unlink()
    shutil.rmtree(spec.run_directory / MODEL)
    shutil.rmtree(LAYOUT.folder(spec.run_directory, 4))
    outcome = drive(spec, small_checkout)
    assert outcome.code == 0, outcome.output
    assert "resuming from step 2 of 4" in outcome.output
    assert losses_of(spec) == whole


def limits_of(experiment: Experiment) -> list[tuple[str | None, str]]:
    found = trainer_named("isaac-gr00t").limits(
        experiment.model_copy(update={"base_model": RELEASED})
    )
    return [(finding.subject, finding.text) for finding in found]


def test_what_the_script_has_no_argument_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"data_config": "so100_dualcam", "embodiment_tag": "new_embodiment"}
    catalog = {ARMS: small_dataset(2), MORE_ARMS: small_dataset(2), SO101: small_dataset(2) | other}
    project = make_project(tmp_path, catalog)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(project.root))
    assert limits_of(mixture([(ARMS, 0.5), (MORE_ARMS, 0.5)], "isaac-gr00t")) == []
    ((field, text),) = limits_of(mixture([(ARMS, 1), (MORE_ARMS, 2)], "isaac-gr00t"))
    assert field == "dataset"
    assert text.startswith("isaac-gr00t gives every dataset of a mixture the same weight")
    texts = [text for _, text in limits_of(mixture([(ARMS, 1), (SO101, 1)], "isaac-gr00t"))]
    assert len(texts) == 2
    assert "one data_config for a mixture, and these have fourier_gr1_arms_only and" in texts[0]
    assert "one embodiment_tag for a mixture, and these have gr1 and new_embodiment" in texts[1]


def test_the_command_by_hand_names_every_folder() -> None:
    fields = small_dataset(2)
    entries = [
        CatalogEntry.model_validate({**fields, "name": ARMS, "held_out": [1]}),
        CatalogEntry.model_validate({**fields, "name": MORE_ARMS}),
    ]
    program = ("python", "gr00t_finetune.py")
    experiment = mixture([(ARMS, 1), (MORE_ARMS, 1)], "isaac-gr00t", balance_dataset_weights=False)
    command = shell_command(experiment, entries, RELEASE, program, ("a", "b"), "out")
    assert ("--dataset-path", "a", "b") in command.flags
    assert ("--no-balance-dataset-weights",) in command.flags
    assert any(
        note.startswith("held_out: the platform keeps episode(s) 1 of arms from")
        for note in command.notes
    )


def test_other_images_than_the_first_datasets_are_refused(
    spec: TrainingSpec, small_checkout: Path
) -> None:
    (other,) = spec.other_modality_configs
    camera = other.video[0].model_copy(update={"height": 480})
    changed = other.model_copy(update={"video": (camera,)})
    unlike = spec.model_copy(update={"other_modality_configs": (changed,)})
    environment = IsaacEnvironment(small_checkout, Path("python"))
    with pytest.raises(TrainingError, match="more-arms: cameras of other pixels"):
        refuse(unlike, environment)


def test_images_in_the_rows_need_the_frame_cache(spec: TrainingSpec, small_checkout: Path) -> None:
    info = spec.datasets[1].directory / "meta" / "info.json"
    (camera,) = spec.datasets[1].config.video
    content = json.loads(info.read_text())
    content["features"][camera.original_key]["dtype"] = "image"
    info.write_text(json.dumps(content))
    for path in spec.datasets[1].directory.glob("data/*/*.parquet"):
        rows = pq.read_table(path)
        images = pa.array([{"bytes": b"", "path": None}] * len(rows))
        pq.write_table(rows.append_column(camera.original_key, images), path)
    settings = {"frame_source": "video", "video_backend": "torchcodec"}
    hyperparameters = spec.experiment.hyperparameters.model_copy(update=settings)
    experiment = spec.experiment.model_copy(update={"hyperparameters": hyperparameters})
    from_videos = spec.model_copy(update={"experiment": experiment})
    environment = IsaacEnvironment(small_checkout, Path("python"))
    with pytest.raises(TrainingError, match=f"more-arms: {camera.original_key}"):
        refuse(from_videos, environment)
    refuse(spec, environment)
