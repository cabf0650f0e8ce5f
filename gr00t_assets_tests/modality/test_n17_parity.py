"""States, actions and images of N1.7 against what NVIDIA's own processor makes of them."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gr00t_assets.modality.camera_images import edge_images
from gr00t_assets.modality.config import ChunkStatistics, ModalityConfig, Statistics, VectorKey
from gr00t_assets.modality.generations import GENERATIONS
from gr00t_assets.modality.transforms import StateActionTransform
from gr00t_assets_tests.parity_cut import N17_CUT

DATA = N17_CUT.parent / "data"
KEYS = {"left_arm": 7, "right_arm": 7, "left_hand": 6, "right_hand": 6}
N17 = GENERATIONS["n1.7"]


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    return load_file(DATA / "samples.safetensors")


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    return json.loads((DATA / "samples.json").read_text())


def config(case: str) -> ModalityConfig:
    """The modality config whose statistics are NVIDIA's."""
    statistics = json.loads((DATA / "statistics.json").read_text())
    state, action, start = [], [], 0
    for key, size in KEYS.items():
        place: dict[str, Any] = {"key": key, "start": start, "end": start + size}
        start += size
        mode = "min_max" if case == "minmax" else "percentiles"
        own = {name: statistics["state"][key][name] for name in Statistics.model_fields}
        state.append(
            VectorKey(
                **place,
                original_key="observation.state",
                normalization=mode,
                statistics=Statistics(**own),
            )
        )
        own = {name: statistics["action"][key][name] for name in Statistics.model_fields}
        place |= {"original_key": "action", "statistics": Statistics(**own)}
        if case == "relative" and key in statistics["relative_action"]:
            place |= {
                "rep": "relative",
                "chunk_statistics": ChunkStatistics(**statistics["relative_action"][key]),
            }
            mode = "min_max"
        action.append(VectorKey(**place, normalization=mode))
    return ModalityConfig(
        generation="n1.7",
        dataset="demo",
        dataset_version="v1",
        data_config="n17",
        embodiment_tag="new_embodiment",
        embodiment_id=N17.embodiment_ids["new_embodiment"],
        video=(),
        state=tuple(state),
        action=tuple(action),
        language=None,
        observation_indices=(0,),
        action_indices=tuple(range(N17.horizon)),
        state_dim=start,
        action_dim=start,
        max_state_dim=N17.max_state_dim,
        max_action_dim=N17.max_action_dim,
    )


@pytest.mark.parametrize("case", ["relative", "absolute", "minmax"])
def test_states_and_actions(case: str, expected: dict[str, torch.Tensor]) -> None:
    transform = StateActionTransform(config(case))
    for sample in range(len(expected["raw_state"])):
        state = expected["raw_state"][sample].numpy()
        chunk = expected["raw_action"][sample].numpy()
        rows = {"observation.state": state.repeat(len(chunk), axis=0), "action": chunk}
        states, actions = transform.states(rows)[:1], transform.actions(rows)
        made = transform.chunks(actions, [0])[0]
        wanted = expected[f"{case}/state"][sample], expected[f"{case}/action"][sample]
        np.testing.assert_allclose(states[:, :26], wanted[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(made[:, :26], wanted[1], rtol=0, atol=1e-6)
        assert not states[:, 26:].any() and not made[:, 26:].any()
        if case == "relative":
            anchors = {key: value[0] for key, value in transform.anchors(actions, [0]).items()}
            inverted = transform.invert_action(wanted[1].numpy().astype(np.float64), anchors)
            decoded = np.concatenate([inverted[key] for key in KEYS], axis=-1)
            clipped = expected["relative/decoded"][sample]
            np.testing.assert_allclose(decoded, clipped, rtol=0, atol=1e-6)


def test_what_is_predicted_outside_the_percentiles_is_clipped() -> None:
    transform = StateActionTransform(config("absolute"))
    far, edge = (transform.invert_action(np.full((40, 132), value)) for value in (1.7, 1.0))
    for key in KEYS:
        np.testing.assert_array_equal(far[key], edge[key])


def test_images_that_are_not_square(
    expected: dict[str, torch.Tensor], facts: dict[str, Any]
) -> None:
    assert len(facts["released"]) == 3
    for name, wanted in facts["released"].items():
        frame = expected[f"{name}/frame"]
        image = edge_images(frame[None, None], N17.image_size, 0.95)[0, 0]
        assert hashlib.sha256(image.numpy().tobytes()).hexdigest() == wanted, name


def test_a_frame_of_one_colour_stays_so() -> None:
    grey = torch.full((1, 2, 300, 300, 3), 77, dtype=torch.uint8)
    assert torch.equal(edge_images(grey, 256, 0.95), grey[:, :, :256, :256])
