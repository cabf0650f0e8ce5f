"""Shares, epochs and statistics of datasets that are trained on together."""

import numpy as np
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.modality.config import (
    ChunkStatistics,
    ModalityConfig,
    Statistics,
    VectorKey,
    VideoKey,
)
from gr00t_assets.modality.mixture import (
    epoch_samples,
    merged_statistics,
    mixed_configs,
    sampling_shares,
)

RANDOM = np.random.default_rng(0)


def figures_of(rows: np.ndarray) -> dict[str, list]:
    values = {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "q01": np.quantile(rows, 0.01, axis=0),
        "q99": np.quantile(rows, 0.99, axis=0),
    }
    return {name: value.tolist() for name, value in values.items()}


def statistics_of(rows: np.ndarray) -> Statistics:
    return Statistics.model_validate(figures_of(rows))


def config_of(name: str, rows: np.ndarray, **changes: object) -> ModalityConfig:
    key = VectorKey(
        key="arm",
        original_key="action",
        start=0,
        end=rows.shape[1],
        normalization="min_max",
        statistics=statistics_of(rows),
    )
    config = ModalityConfig(
        dataset=name,
        dataset_version=f"version-of-{name}",
        data_config="own",
        embodiment_tag="new_embodiment",
        embodiment_id=31,
        video=(VideoKey(key="front", original_key="front", height=9, width=9, fps=20),),
        state=(key,),
        action=(key,),
        language=None,
        observation_indices=(0,),
        action_indices=tuple(range(16)),
        state_dim=rows.shape[1],
        action_dim=rows.shape[1],
        max_state_dim=64,
        max_action_dim=32,
    )
    return config.model_copy(update=changes)


def test_balanced_weights_count_for_each_row_and_others_for_each_dataset() -> None:
    assert sampling_shares([1, 1], [900, 100], True) == (0.9, 0.1)
    assert sampling_shares([1, 1], [900, 100], False) == (0.5, 0.5)
    assert sampling_shares([0.7, 0.3], [900, 100], False) == pytest.approx((0.7, 0.3))
    assert sampling_shares([1, 3], [900, 100], True) == pytest.approx((0.75, 0.25))
    assert sampling_shares([0.2], [123], True) == (1.0,)


def test_an_epoch_ends_when_the_primary_dataset_was_drawn_as_often_as_it_has_rows() -> None:
    assert epoch_samples([1], [2096], [1.0]) == 2096
    assert epoch_samples([1, 1], [900, 100], [0.9, 0.1]) == 1000
    assert epoch_samples([1, 1], [900, 100], [0.5, 0.5]) == 1800
    assert epoch_samples([1, 0.5], [100, 900], [0.25, 0.75]) == 400


def test_statistics_of_rows_that_have_equal_chances_are_those_of_all_rows() -> None:
    one, other = RANDOM.normal(2, 1, (300, 4)), RANDOM.normal(-1, 3, (100, 4))
    merged = merged_statistics([statistics_of(one), statistics_of(other)], [300, 100])
    whole = statistics_of(np.concatenate([one, other]))
    for name in ("min", "max", "mean", "std"):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), rtol=1e-12)
    for name in ("q01", "q99"):
        own = [getattr(statistics_of(rows), name) for rows in (one, other)]
        expected = np.average(own, axis=0, weights=[0.75, 0.25])
        np.testing.assert_allclose(getattr(merged, name), expected, rtol=1e-12)


def test_statistics_follow_the_shares() -> None:
    one, other = np.zeros((10, 1)), np.full((10, 1), 4.0)
    merged = merged_statistics([statistics_of(one), statistics_of(other)], [0.25, 0.75])
    assert (merged.mean, merged.min, merged.max) == ((3.0,), (0.0,), (4.0,))
    assert merged.std == pytest.approx((np.sqrt(3),))


def test_a_number_that_never_changes_has_no_spread() -> None:
    rows = np.full((10, 1), 0.1 + 0.2)
    assert merged_statistics([statistics_of(rows)] * 3, [0.2, 0.3, 0.5]).std == pytest.approx((0,))


def test_one_dataset_alone_is_as_it_was() -> None:
    config = config_of("a", RANDOM.normal(size=(50, 3)))
    (mixed,) = mixed_configs([config], [1.0])
    assert mixed == config
    assert mixed.content_hash() == config.content_hash()


def test_datasets_of_one_embodiment_have_one_normalisation() -> None:
    one, other = RANDOM.normal(2, 1, (300, 4)), RANDOM.normal(-1, 3, (100, 4))
    robot = RANDOM.normal(size=(70, 6))
    configs = [
        config_of("a", one),
        config_of("robot", robot, embodiment_tag="gr1", embodiment_id=24),
        config_of("b", other),
    ]
    a, alone, b = mixed_configs(configs, [0.6, 0.2, 0.2])
    assert a.action[0].statistics == b.state[0].statistics
    expected = merged_statistics([statistics_of(one), statistics_of(other)], [0.6, 0.2])
    assert a.action[0].statistics == expected
    assert alone == configs[1]
    assert (a.dataset, b.dataset_version) == ("a", "version-of-b")
    assert a.content_hash() != configs[0].content_hash()


def test_vectors_are_padded_to_the_widest() -> None:
    rows = RANDOM.normal(size=(50, 3))
    wide = config_of("b", rows, max_action_dim=48, embodiment_tag="gr1", embodiment_id=24)
    mixed = mixed_configs([config_of("a", rows), wide], [0.5, 0.5])
    assert [config.max_action_dim for config in mixed] == [48, 48]
    assert [config.max_state_dim for config in mixed] == [64, 64]


@pytest.mark.parametrize(
    ("numbers", "changes", "text"),
    [
        (5, {}, "a and b have the embodiment tag new_embodiment, but not one state: numbers of "
         "arm 4, not 5; give one of them another embodiment_tag in data/datasets.yaml"),
        (4, {"action_indices": (0, 1)}, "a is trained on chunks of 16 actions, b of 2: "),
    ],
)  # fmt: skip
def test_datasets_that_do_not_go_together_are_refused(
    numbers: int, changes: dict[str, object], text: str
) -> None:
    configs = [
        config_of("a", RANDOM.normal(size=(50, 4))),
        config_of("b", RANDOM.normal(size=(50, numbers)), **changes),
    ]
    with pytest.raises(DatasetError) as raised:
        mixed_configs(configs, [0.5, 0.5])
    assert "a and b: they cannot be trained on together." in str(raised.value)
    assert text in str(raised.value)
    if not changes:
        told = {"embodiment_tag": "gr1", "embodiment_id": 24}
        mixed_configs([configs[0], configs[1].model_copy(update=told)], [0.5, 0.5])


def test_another_normalisation_of_the_same_embodiment_is_named() -> None:
    rows = RANDOM.normal(size=(50, 4))
    one, other = config_of("a", rows), config_of("b", rows)
    key = other.action[0].model_copy(update={"normalization": "q99"})
    with pytest.raises(DatasetError, match="normalization of arm min_max, not q99"):
        mixed_configs([one, other.model_copy(update={"action": (key,)})], [0.5, 0.5])


def test_statistics_of_chunks_are_merged_step_by_step() -> None:
    rows = RANDOM.normal(size=(50, 4))
    chunks = [RANDOM.normal(place, 1, (200, 16, 4)) for place in (0, 3)]
    configs = []
    for name, values in zip("ab", chunks, strict=True):
        own = ChunkStatistics.model_validate(figures_of(values))
        config = config_of(name, rows)
        key = config.action[0].model_copy(update={"rep": "relative", "chunk_statistics": own})
        configs.append(config.model_copy(update={"action": (key,)}))
    merged = mixed_configs(configs, [0.5, 0.5])[1].action[0].chunk_statistics
    assert merged is not None
    whole = np.concatenate(chunks)
    np.testing.assert_allclose(merged.mean, whole.mean(axis=0))
    np.testing.assert_allclose(merged.std, whole.std(axis=0))
    np.testing.assert_allclose(merged.max, whole.max(axis=0))
