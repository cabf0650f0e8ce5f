"""Episodes that are kept from training: in the catalog, in the modality config, in the rows."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.errors import CatalogError, DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.datasets.curation import held_out_episodes
from gr00t_assets.datasets.fit.modality_configs import (
    build_modality_config,
    resolve_modality_config,
)
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.modality.config import ModalityConfig

SOURCE = {
    **{"kind": "synthetic", "episodes": 5, "min_frames": 40, "max_frames": 43},
    **{"width": 64, "height": 64},
}
FIELDS = {"name": "five", "description": "Five", "source": SOURCE, "embodiment_tag": "gr1"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> LeRobotDataset:
    folder = tmp_path_factory.mktemp("held-out") / "five"
    fields = {name: value for name, value in SOURCE.items() if name != "kind"}
    generate(SyntheticSource.model_validate(fields), folder)
    return LeRobotDataset.open(folder)


@pytest.fixture(scope="module")
def config(dataset: LeRobotDataset) -> ModalityConfig:
    return resolve_modality_config(dataset, "five", "v1", "fourier_gr1_arms_only", "gr1")


@pytest.mark.parametrize(
    ("held_out", "expected"),
    [(None, ()), ((1, 3), (1, 3)), (0.1, (4,)), (0.4, (3, 4)), (0.5, (3, 4)), (0.7, (1, 2, 3, 4))],
)
def test_indices_or_a_share_of_the_last(
    dataset: LeRobotDataset, held_out: tuple[int, ...] | float | None, expected: tuple[int, ...]
) -> None:
    assert held_out_episodes(held_out, dataset) == expected


def test_unknown_episodes_are_refused(dataset: LeRobotDataset) -> None:
    with pytest.raises(DatasetError) as caught:
        held_out_episodes((2, 5, 9), dataset)
    assert "episodes 5, 9, which it does not have" in str(caught.value)
    assert "5 episodes, 0 to 4" in str(caught.value)
    assert "data/datasets.yaml" in str(caught.value)


@pytest.mark.parametrize("held_out", [(0, 1, 2, 3, 4), 0.95])
def test_something_must_be_left(dataset: LeRobotDataset, held_out: tuple[int, ...] | float) -> None:
    with pytest.raises(DatasetError, match="none is left to train on"):
        held_out_episodes(held_out, dataset)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("1.5", "a share lies between 0 and 1"),
        ("0.0", "a share lies between 0 and 1"),
        ("3", "expected episode indices"),
        ("[]", "expected episode indices"),
        ("last", "expected episode indices"),
        ("[-1]", "a whole number from 0 on"),
        ("[1, true]", "a whole number from 0 on"),
        ("[2, 2]", "named twice: 2"),
    ],
)
def test_the_catalog_refuses_what_is_no_split(tmp_path: Path, written: str, message: str) -> None:
    file = tmp_path / "datasets.yaml"
    text = "five:\n  description: Five\n  source: synthetic\n  data_config: fourier_gr1_arms_only\n"
    file.write_text(f"{text}  held_out: {written}\n")
    with pytest.raises(CatalogError) as caught:
        load_catalog(file)
    assert message in str(caught.value)
    assert "held_out" in str(caught.value)
    assert "5" in str(caught.value), "the line is named"


def test_the_catalogs_split_arrives_in_the_modality_config(tmp_path: Path) -> None:
    file = tmp_path / "datasets.yaml"
    text = "five:\n  description: Five\n  source: synthetic\n  data_config: fourier_gr1_arms_only\n"
    file.write_text(f"{text}  held_out: [3, 1]\n")
    assert load_catalog(file)["five"].held_out == (1, 3)

    store = Store(tmp_path / "store")
    fields = {**FIELDS, "data_config": "fourier_gr1_arms_only"}
    entry = CatalogEntry.model_validate({**fields, "held_out": 0.2})
    ingest_dataset(entry, store)
    split = build_modality_config(entry, store)
    assert split.held_out_episodes == (4,)
    whole = build_modality_config(CatalogEntry.model_validate(fields), store)
    assert whole.held_out_episodes == ()
    assert whole.content_hash() != split.content_hash()
    assert whole.state == split.state, "statistics are those of the whole dataset"
    unfit = CatalogEntry.model_validate({**fields, "held_out": [7]})
    with pytest.raises(DatasetError, match="held-out"):
        build_modality_config(unfit, store)
    assert not store.modality_config("five").exists()


def test_configs_without_a_split_keep_their_hash(config: ModalityConfig) -> None:
    unhashed = {"warnings", "dataset", "frames", "held_out_episodes", "frame_size"}
    unhashed |= {"color_jitter", "language_key", "generation"}
    newer = {"rep", "type", "format", "state_key", "chunk_statistics", "transforms", "names"}
    content = config.model_dump(mode="json", exclude=unhashed)
    for part in ("video", "state", "action"):
        content[part] = [
            {name: value for name, value in key.items() if name not in newer}
            for key in content[part]
        ]
    earlier = ModalityConfig.model_validate({**content, "dataset": "five"})
    assert earlier.content_hash() == config.content_hash()
    assert "held_out_episodes" not in content
    known = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    assert config.content_hash() == known


def test_parts_are_disjoint_and_whole(
    dataset: LeRobotDataset, config: ModalityConfig, tmp_path: Path
) -> None:
    build_frame_cache(dataset, dataset.cameras, tmp_path / "five" / "v1")
    cache = FrameCache.open(tmp_path / "five" / "v1")
    split = config.model_copy(update={"held_out_episodes": (1, 4)})
    whole = Demonstrations(dataset, cache, split)
    train = Demonstrations(dataset, cache, split, "train")
    held_out = Demonstrations(dataset, cache, split, "held_out")
    assert set(train.episodes) == {0, 2, 3}
    assert set(held_out.episodes) == {1, 4}
    assert len(train) + len(held_out) == len(whole) == dataset.frame_count
    for part in (train, held_out):
        for episode in set(part.episodes):
            of_part, of_whole = part.rows(episode), whole.rows(episode)
            np.testing.assert_array_equal(part.states(of_part), whole.states(of_whole))
            np.testing.assert_array_equal(part.actions(of_part), whole.actions(of_whole))
            np.testing.assert_array_equal(part.frames(of_part), whole.frames(of_whole))
            assert part.texts(of_part) == whole.texts(of_whole)
    with pytest.raises(DatasetError, match="no episodes of it are kept"):
        Demonstrations(dataset, cache, config, "held_out")


def test_chunks_repeat_the_last_row_of_their_own_episode(
    dataset: LeRobotDataset, config: ModalityConfig, tmp_path: Path
) -> None:
    build_frame_cache(dataset, dataset.cameras, tmp_path / "five" / "v1")
    data = Demonstrations(dataset, FrameCache.open(tmp_path / "five" / "v1"), config)
    chunks = data.actions(data.rows())
    assert chunks.dtype == np.float32
    for episode in range(5):
        rows = data.rows(episode)
        own = chunks[rows, 0]
        for place, row in enumerate(rows):
            following = np.minimum(place + np.arange(16), len(rows) - 1)
            np.testing.assert_array_equal(chunks[row], own[following])
    shuffled = np.random.default_rng(0).permutation(data.rows())
    np.testing.assert_array_equal(data.actions(shuffled), chunks[shuffled])
