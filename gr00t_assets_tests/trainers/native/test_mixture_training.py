"""Training on a mixture of two robots, from its batches to the policy for each of them."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.checkpoint_layout import COMPLETE
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, load_spec, make_spec, write_spec
from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.data_order import draw_flow
from gr00t_assets.trainers.policy import Observations
from gr00t_assets.trainers.run_checks import final_weights_problem
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT
from gr00t_assets_tests.trainers.conftest import environment, train, trainer
from gr00t_assets_tests.trainers.mixtures import ARMS, MORE_ARMS, SO101, make_mixture_data, mixture
from gr00t_assets_tests.trainers.native.test_native_resume import wait_for

CPU = torch.device("cpu")
BOTH = [(ARMS, 0.7), (SO101, 0.3)]


@pytest.fixture(scope="session")
def mixture_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("mixture"))
    make_mixture_data(store)
    return store.root


@pytest.fixture
def store(mixture_data: Path, tmp_path: Path) -> Store:
    shutil.copytree(mixture_data, tmp_path / "store")
    return Store(tmp_path / "store")


def losses(directory: Path) -> list[float]:
    return read_metrics(directory).losses.tolist()


@pytest.mark.parametrize("augmentation", ["none", "gr00t"])
def test_a_batch_is_of_every_dataset_and_fits_the_model(store: Store, augmentation: str) -> None:
    spec = make_spec(mixture(BOTH, augmentation=augmentation, batch_size=16), store)
    base = load_base_model("tiny", seed=0)
    source = BatchSource(spec, base, CPU)
    batch = source.batch(range(32, 48))
    ids = batch["embodiment_id"].tolist()
    assert set(ids) == {24, 31}
    assert ids != sorted(ids), "in the order of the draws"
    arms, so101 = (np.flatnonzero(np.array(ids) == number) for number in (24, 31))
    assert batch["action_mask"][arms].sum(dim=-1).unique().tolist() == [26]
    assert batch["action_mask"][so101].sum(dim=-1).unique().tolist() == [6]
    images = (batch["input_ids"] == base.tokenizer.image_id).sum(dim=1)
    assert set(images[arms].tolist()) == {base.config.tokens_per_image}
    assert set(images[so101].tolist()) == {2 * base.config.tokens_per_image}
    assert len(batch["pixel_values"]) == len(arms) + 2 * len(so101)
    assert torch.isfinite(
        base.model(batch, *draw_flow(base.config.action_head, 0, 0, len(batch["action"])))
    )
    again = BatchSource(spec, base, CPU).batch(range(32, 48))
    assert all(torch.equal(value, again[name]) for name, value in batch.items())


def test_each_sample_is_what_its_dataset_alone_would_give(store: Store) -> None:
    spec = make_spec(mixture(BOTH, augmentation="none", batch_size=16), store)
    base = load_base_model("tiny", seed=0)
    source = BatchSource(spec, base, CPU)
    batch = source.batch(range(16))
    images = iter(batch["pixel_values"])
    draws = source._order.draws(0, 16)
    for place, (number, row) in enumerate(zip(*draws, strict=True)):
        data, rows = source.data[number], np.array([row])
        assert np.array_equal(batch["state"][place], data.states(rows)[0])
        assert np.array_equal(batch["action"][place], data.actions(rows)[0])
        for camera in data.frames(rows)[0]:
            expected = torch.from_numpy(camera).permute(2, 0, 1).float() / 127.5 - 1
            assert torch.allclose(next(images), expected, atol=1e-6)
        prompt = batch["input_ids"][place][batch["attention_mask"][place] == 1].tolist()
        cameras, tokens = len(data.config.video), base.config.tokens_per_image
        assert prompt == list(base.tokenizer.prompt_ids(data.texts(rows)[0], cameras, tokens))


def test_datasets_of_one_robot_are_normalised_alike(store: Store) -> None:
    spec = make_spec(mixture([(ARMS, 1), (MORE_ARMS, 1)]), store)
    one, other = (dataset.config for dataset in spec.datasets)
    assert [key.statistics for key in one.action] == [key.statistics for key in other.action]
    rows = np.concatenate(
        [
            LeRobotDataset.open(dataset.directory).vector(episode.index, "action")
            for dataset in spec.datasets
            for episode in LeRobotDataset.open(dataset.directory).episodes
        ]
    )
    for key in one.action:
        np.testing.assert_allclose(key.statistics.min, rows[:, key.start : key.end].min(axis=0))
        np.testing.assert_allclose(key.statistics.max, rows[:, key.start : key.end].max(axis=0))


def test_a_mixture_is_trained_and_acts_for_each_robot(store: Store) -> None:
    experiment = mixture(BOTH, max_steps=30, save_steps=30, batch_size=8, augmentation="none")
    spec = make_spec(experiment, store)
    place_spec(spec)
    outcome = train(spec)
    assert outcome.returncode == 0, outcome.stderr
    directory = spec.run_directory
    manifest = load_manifest(directory)
    assert manifest is not None and manifest.status == "finished"
    assert manifest.dataset == "arms 0.7 + so101 0.3"
    assert manifest.frames_verified
    arms, so101 = manifest.datasets
    rows = [dataset.rows for dataset in spec.datasets]
    shares = np.array([0.7 * rows[0], 0.3 * rows[1]])
    assert (arms.share, so101.share) == pytest.approx(tuple(shares / shares.sum()))
    assert arms.samples_seen + so101.samples_seen == manifest.samples_seen == 240
    assert arms.samples_seen == pytest.approx(240 * arms.share, abs=20)
    assert (arms.frames, so101.frames) == tuple(rows)
    assert so101.epochs == pytest.approx(so101.samples_seen / so101.frames)
    assert manifest.epochs == pytest.approx(240 / int(rows[0] / arms.share))
    last, first = losses(directory)[-5:], losses(directory)[:5]
    assert np.mean(last) < np.mean(first)

    metadata = json.loads((directory / "model/experiment_cfg/metadata.json").read_text())
    assert sorted(metadata) == ["gr1", "new_embodiment"]
    assert sorted(metadata["new_embodiment"]["modalities"]["video"]) == ["front", "wrist"]
    assert final_weights_problem(directory) is None
    native = trainer_named("native")
    for dataset in spec.datasets:
        files = LeRobotDataset.open(dataset.directory, dataset.name)
        data = Demonstrations(files, FrameCache.open(dataset.frame_cache), dataset.config)
        asked = np.arange(3)
        policy = native.open_policy(directory, dataset=dataset.name)
        actions = policy.actions(
            Observations(data.frames(asked), data.states(asked), data.texts(asked))
        )
        assert list(actions) == [key.key for key in dataset.config.action]
        assert all(np.isfinite(values).all() for values in actions.values())
    with pytest.raises(CheckpointError, match=r"not trained on arm\.\n  did you mean 'arms'\?"):
        native.open_policy(directory, dataset="arm")


def test_killed_with_9_it_goes_on_to_the_same_losses(store: Store) -> None:
    spec = make_spec(mixture(BOTH, max_steps=60, save_steps=5, batch_size=2), store)
    directory = spec.run_directory
    process = subprocess.Popen(
        trainer(spec),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    )
    wait_for(DEFAULT_LAYOUT.folder(directory, 10) / COMPLETE, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert load_manifest(directory) is None
    assert train(spec).returncode == 0
    broken, counts = losses(directory), load_manifest(directory)
    shutil.rmtree(directory)
    assert train(spec).returncode == 0
    whole = load_manifest(directory)
    assert losses(directory) == broken
    assert counts is not None and whole is not None
    assert counts.datasets == whole.datasets


def test_weights_are_part_of_what_is_trained(store: Store) -> None:
    spec = make_spec(mixture(BOTH), store)
    place_spec(spec)
    read: TrainingSpec = load_spec(spec.run_directory / "spec.json")
    assert read == spec
    assert read.current_hash == spec.config_hash
    same = make_spec(mixture([(ARMS, 7), (SO101, 3)]), store)
    assert same.config_hash == spec.config_hash
    others = [[(ARMS, 0.6), (SO101, 0.4)], BOTH[::-1], [(MORE_ARMS, 0.7), (SO101, 0.3)]]
    hashes = {make_spec(mixture(weights), store).config_hash for weights in others}
    assert len(hashes | {spec.config_hash}) == 4


def test_equal_chances_of_episodes_are_drawn_where_that_is_asked(store: Store) -> None:
    base = load_base_model("tiny", seed=0)
    orders = [
        BatchSource(make_spec(mixture(BOTH, balance_trajectory_weights=on), store), base, CPU)
        for on in (True, False)
    ]
    drawn = [source._order.draws(0, 200).rows.tolist() for source in orders]
    assert drawn[0] != drawn[1]


def test_the_spec_of_one_dataset_has_the_form_that_it_always_had(store: Store) -> None:
    experiment = mixture(BOTH).model_copy(update={"dataset": ARMS})
    content = json.loads(write_spec(make_spec(experiment, store)).read_text())
    names = ("format", "store", "experiment", "modality_config", "config_hash")
    assert list(content) == [*names, "defaults_version", "checksum"]
    assert content["experiment"]["dataset"] == content["modality_config"]["dataset"] == ARMS
