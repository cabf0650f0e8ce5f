"""Relative actions: differences, rotations and poses, there and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gr00t_assets.modality.config import ChunkStatistics, ModalityConfig, Statistics, VectorKey
from gr00t_assets.modality.key_config import POSE_ROTATIONS
from gr00t_assets.modality.key_transform import KeyTransform
from gr00t_assets.modality.rotations import ROTATION_DIMS, convert_rotation
from gr00t_assets.modality.transforms import StateActionTransform

_SEEDS = st.integers(0, 2**31)


def _key(size: int, **changes: object) -> VectorKey:
    zero, one = (0.0,) * size, (1.0,) * size
    statistics = Statistics(min=zero, max=one, mean=zero, std=one, q01=zero, q99=one)
    values = {"key": "arm", "original_key": "action", "start": 0, "end": size, "rep": "relative"}
    return VectorKey(**values, statistics=statistics, **changes)  # pyright: ignore


def _with_statistics(key: VectorKey, relative: np.ndarray) -> VectorKey:
    rows = {
        "min": relative.min(0),
        "max": relative.max(0),
        "mean": relative.mean(0),
        "std": relative.std(0),
        "q01": relative.min(0),
        "q99": relative.max(0),
    }
    chunk = ChunkStatistics(**{name: value.tolist() for name, value in rows.items()})
    return key.model_copy(update={"chunk_statistics": chunk})


def _rotations(seed: int, shape: tuple[int, ...], form: str) -> np.ndarray:
    rows = Rotation.from_quat(np.random.default_rng(seed).normal(size=(int(np.prod(shape)), 4)))
    rows = rows.as_matrix().reshape(*shape, 9)
    return convert_rotation(rows, "matrix", form)


@settings(max_examples=30, deadline=None)
@given(_SEEDS, st.sampled_from(["min_max", "q99", "mean_std", None]))
def test_numbers_come_back(seed: int, mode: str | None) -> None:
    draw = np.random.default_rng(seed)
    action, state = draw.normal(size=(5, 4, 3)), draw.normal(size=(5, 1, 3))
    key = _with_statistics(_key(3, normalization=mode), action - state)
    transform = KeyTransform(key)
    fed = transform.forward(action, state)
    if mode in ("min_max", "q99"):
        assert np.abs(fed).max(axis=0) == pytest.approx(1)  # at every step by its own range
    np.testing.assert_allclose(transform.inverse(fed, state), action, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(_SEEDS, st.sampled_from(sorted(ROTATION_DIMS)), st.sampled_from(sorted(ROTATION_DIMS)))
def test_rotations_are_composed_and_come_back(seed: int, source: str, target: str) -> None:
    action, state = _rotations(seed, (3, 2), source), _rotations(seed + 1, (3, 1), source)
    key = _key(ROTATION_DIMS[source], rotation_type=source, target_rotation=target)
    relative = KeyTransform(key).forward(action, state)
    assert relative.shape == (3, 2, ROTATION_DIMS[target])
    back = KeyTransform(key).inverse(relative, state)
    before, after = (convert_rotation(values, source, "matrix") for values in (action, back))
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_a_relative_rotation_is_the_turn_from_the_state() -> None:
    quarter, half = np.array([[0, 0, np.pi / 2]]), np.array([[0, 0, np.pi]])
    key = _key(3, rotation_type="axis_angle")
    np.testing.assert_allclose(KeyTransform(key).forward(half * 0.9, quarter), half * 0.9 - quarter)
    around = np.array([[np.pi / 2, 0, 0]])
    turned = KeyTransform(key).forward(around, quarter)
    assert not np.allclose(turned, around - quarter)  # rotations do not subtract


@settings(max_examples=30, deadline=None)
@given(_SEEDS, st.sampled_from(sorted(POSE_ROTATIONS)))
def test_poses_are_seen_from_the_state_and_come_back(seed: int, form: str) -> None:
    draw, rotation = np.random.default_rng(seed), POSE_ROTATIONS[form]
    action = np.concatenate([draw.normal(size=(4, 3, 3)), _rotations(seed, (4, 3), rotation)], -1)
    state = np.concatenate(
        [draw.normal(size=(4, 1, 3)), _rotations(seed + 9, (4, 1), rotation)], -1
    )
    key = _key(3 + ROTATION_DIMS[rotation], type="eef", format=form)
    relative = KeyTransform(key).forward(action, state)
    distance = np.linalg.norm((action - state)[..., :3], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(relative[..., :3], axis=-1), distance)
    back = KeyTransform(key).inverse(relative, state)
    np.testing.assert_allclose(back[..., :3], action[..., :3], atol=1e-9)
    before, after = (
        convert_rotation(values[..., 3:], rotation, "matrix") for values in (action, back)
    )
    np.testing.assert_allclose(after, before, atol=1e-6)
    still = KeyTransform(key).forward(state, state)[..., :3]
    np.testing.assert_allclose(still, 0, atol=1e-12)


def _config(action: VectorKey, plain: VectorKey, state: VectorKey) -> ModalityConfig:
    return ModalityConfig(
        dataset="d",
        dataset_version="v",
        data_config="c",
        embodiment_tag="new_embodiment",
        embodiment_id=31,
        video=(),
        state=(state,),
        action=(action, plain),
        language=None,
        observation_indices=(0,),
        action_indices=(0, 1, 2),
        state_dim=2,
        action_dim=3,
        max_state_dim=4,
        max_action_dim=5,
    )


def test_chunks_are_relative_to_the_state_of_their_first_row_and_padded_after_it() -> None:
    draw = np.random.default_rng(0)
    columns = {"action": draw.normal(size=(6, 3)), "observation.state": draw.normal(size=(6, 2))}
    state = _key(2).model_copy(update={"original_key": "observation.state", "rep": "absolute"})
    plain = _key(1).model_copy(update={"key": "grip", "start": 2, "end": 3, "rep": "absolute"})
    config = _config(_key(2), plain, state)
    transform = StateActionTransform(config)
    assert transform.action_columns == ("action", "observation.state")
    actions = transform.actions(columns)
    chunks = transform.chunks(actions, [0, 5])
    assert chunks.shape == (2, 3, 5)
    expected = columns["action"][:3, :2] - columns["observation.state"][0]
    np.testing.assert_allclose(chunks[0, :, :2], expected)
    last = columns["action"][5, :2] - columns["observation.state"][5]
    np.testing.assert_allclose(chunks[1, :, :2], np.broadcast_to(last, (3, 2)))
    np.testing.assert_allclose(chunks[0, :, 2], columns["action"][:3, 2])
    anchors = transform.anchors(actions, [0, 5])
    units = transform.invert_action(chunks, anchors)
    np.testing.assert_allclose(units["arm"][0], columns["action"][:3, :2])
    with pytest.raises(ValueError, match="'arm' is relative: give the state"):
        transform.invert_action(chunks)


def test_fields_at_their_defaults_are_in_no_hash() -> None:
    plain = _key(1).model_copy(update={"rep": "absolute"})
    state = plain.model_copy(update={"original_key": "observation.state"})
    before, after = _config(plain, plain, state), _config(_key(1), plain, state)
    assert before.content_hash() != after.content_hash()
    named = before.model_copy(update={"language_key": "annotation.human.task"})
    assert named.content_hash() == before.content_hash()
