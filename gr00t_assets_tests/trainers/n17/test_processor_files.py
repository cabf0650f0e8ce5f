"""NVIDIA's processor files: as its own loader wrote them, there and back, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gr00t_assets.core.errors import CheckpointError, DataConfigError
from gr00t_assets.modality.config import ModalityConfig, VectorKey, VideoKey
from gr00t_assets.modality.key_config import CameraTransforms
from gr00t_assets.modality.transforms import StateActionTransform
from gr00t_assets.trainers.n17.architecture import TINY
from gr00t_assets.trainers.n17.processor_configs import configs_of, files_of, inexpressible
from gr00t_assets.trainers.n17.processor_files import FOLDER, ProcessorFiles, processor_folder
from gr00t_assets_tests.modality.test_n17_parity import DATA, config

LANGUAGE = "annotation.human.action.task_description"


def with_camera(case: str, **transforms: Any) -> ModalityConfig:
    camera = VideoKey(
        key="ego_view",
        original_key="observation.images.ego_view",
        height=256,
        width=256,
        fps=20,
        transforms=CameraTransforms(**transforms),
    )
    return config(case).model_copy(update={"video": (camera,), "language": LANGUAGE})


def test_they_are_what_nvidias_own_code_writes(tmp_path: Path) -> None:
    files_of([with_camera("relative")], TINY).write(tmp_path)
    written = json.loads((tmp_path / "processor_config.json").read_text())
    kwargs = written["processor_kwargs"]
    nvidias = json.loads((DATA / "modality_config.json").read_text())
    assert kwargs["modality_configs"] == {"new_embodiment": nvidias}
    assert written["processor_class"] == "Gr00tN1d7Processor"
    assert (kwargs["use_percentiles"], kwargs["use_relative_action"]) == (True, True)
    assert (kwargs["crop_fraction"], kwargs["shortest_image_edge"]) == (0.95, 112)
    assert (kwargs["max_state_dim"], kwargs["max_action_horizon"]) == (132, 40)
    statistics = json.loads((tmp_path / "statistics.json").read_text())
    assert statistics == {"new_embodiment": json.loads((DATA / "statistics.json").read_text())}
    ids = json.loads((tmp_path / "embodiment_id.json").read_text())
    assert (ids["new_embodiment"], ids["libero_sim"]) == (10, 2)


@pytest.mark.parametrize("case", ["relative", "absolute", "minmax"])
@pytest.mark.parametrize("folder", [".", FOLDER])
def test_a_model_of_theirs_has_its_own_statistics(case: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    files_of([with_camera(case)], TINY).write(tmp_path / folder)
    assert processor_folder(tmp_path) == tmp_path / folder
    (read,) = configs_of(ProcessorFiles.read(tmp_path), tmp_path)
    assert (read.embodiment_tag, read.embodiment_id, read.language) == (
        "new_embodiment",
        10,
        LANGUAGE,
    )
    expected, transform = load_file(DATA / "samples.safetensors"), StateActionTransform(read)
    for sample in range(len(expected["raw_state"])):
        state = expected["raw_state"][sample].numpy()
        chunk = expected["raw_action"][sample].numpy()
        rows = {"observation.state": state.repeat(len(chunk), axis=0), "action": chunk}
        made = transform.states(rows)[:1, :26], transform.chunks(transform.actions(rows), [0])[0]
        for name, value in zip(("state", "action"), made, strict=True):
            wanted = expected[f"{case}/{name}"][sample]
            np.testing.assert_allclose(value[:, :26], wanted, rtol=0, atol=1e-6)


def test_their_own_embodiment_ids_win_and_the_tag_that_was_trained_comes_first(
    tmp_path: Path,
) -> None:
    files_of([with_camera("absolute")], TINY).write(tmp_path)
    for name in ("statistics.json", "processor_config.json"):
        content = json.loads((tmp_path / name).read_text())
        tags = content["processor_kwargs"]["modality_configs"] if name[0] == "p" else content
        tags |= {"libero_sim": tags["new_embodiment"], "mine": tags["new_embodiment"]}
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "embodiment_id.json").write_text('{"new_embodiment": 7, "mine": 30}')
    configs = configs_of(ProcessorFiles.read(tmp_path), tmp_path)
    found = [(config.embodiment_tag, config.embodiment_id) for config in configs]
    assert found == [("new_embodiment", 7), ("mine", 30), ("libero_sim", 2)]


def first_action(**changes: Any) -> Callable[[ModalityConfig], ModalityConfig]:
    def changed(whole: ModalityConfig) -> ModalityConfig:
        first: VectorKey = whole.action[0].model_copy(update=changes)
        return whole.model_copy(update={"action": (first, *whole.action[1:])})

    return changed


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (first_action(normalization="q99"), "action.left_arm has normalization q99; such a key"),
        (first_action(normalization=None), "action.left_arm has normalization none"),
        (first_action(normalization="min_max"), "some absolute keys have percentiles and some"),
        (first_action(sin_cos=True), "action.left_arm has sin_cos, which is for states alone"),
        (
            first_action(rotation_type="quaternion", target_rotation="rotation_6d"),
            "action.left_arm is turned as a rotation, quaternion",
        ),
        (first_action(rep="relative"), "such a relative action takes min_max, mean_std"),
    ],
)
def test_what_nvidias_processor_does_not_do_is_named(
    change: Callable[[ModalityConfig], ModalityConfig], told: str
) -> None:
    whole = with_camera("absolute")
    assert inexpressible([whole]) == []
    (problem,) = inexpressible([change(whole)])
    assert told in problem
    with pytest.raises(DataConfigError, match="does not do what this data config says"):
        files_of([change(whole)], TINY)


def test_a_camera_cut_in_its_own_way_and_unlike_datasets_are_named() -> None:
    own = with_camera("absolute", region=(0, 0, 0.5, 1))
    assert "camera ego_view is cut or resized in its own way, region" in inexpressible([own])[0]
    whole, borders = with_camera("absolute"), with_camera("absolute", resize="letterbox")
    assert inexpressible([borders]) == []
    assert files_of([borders], TINY).settings.letter_box_transform
    assert "differ in crop_scale, color_jitter or borders" in inexpressible([whole, borders])[0]
    other = whole.model_copy(update={"action_indices": tuple(range(8))})
    assert "have one embodiment tag, but other keys" in inexpressible([whole, other])[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"use_albumentations": False}, "use_albumentations is false"),
        ({"clip_outliers": False, "exclude_state": True}, "exclude_state is true"),
        ({"crop_fraction": None, "image_crop_size": None}, "neither shortest_image_edge and crop"),
        ({"max_action_horizon": 16}, "chunks of 40 actions, over max_action_horizon"),
        ({"modality_configs": 3}, "is not a file of Isaac-GR00T's N1.7 processor"),
    ],
)
def test_what_is_not_done_here_is_named(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    files_of([with_camera("relative")], TINY).write(tmp_path)
    content = json.loads((tmp_path / "processor_config.json").read_text())
    content["processor_kwargs"] |= changes
    (tmp_path / "processor_config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=told):
        configs_of(ProcessorFiles.read(tmp_path), tmp_path)


def test_frames_before_the_present_one_are_not_done_here(tmp_path: Path) -> None:
    files_of([with_camera("relative")], TINY).write(tmp_path)
    content = json.loads((tmp_path / "processor_config.json").read_text())
    tags = content["processor_kwargs"]["modality_configs"]
    tags["new_embodiment"]["video"]["delta_indices"] = [-15, 0]
    (tmp_path / "processor_config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"video has delta_indices \[-15, 0\]"):
        configs_of(ProcessorFiles.read(tmp_path), tmp_path)
    (tmp_path / "statistics.json").unlink()
    with pytest.raises(CheckpointError, match="FileNotFoundError"):
        ProcessorFiles.read(tmp_path)


def test_crops_are_read_of_sizes_too() -> None:
    settings = files_of([with_camera("absolute")], TINY).settings.model_copy(
        update={
            **{"shortest_image_edge": None, "crop_fraction": None},
            **{"image_crop_size": (230, 230), "image_target_size": (256, 256)},
        }
    )
    assert (settings.edge, settings.crop_scale) == (256, 230 / 256)


def test_what_is_far_outside_the_range_is_clipped_as_theirs() -> None:
    """Of relative actions as well, whose range is that of the least and the greatest."""
    transform = StateActionTransform(with_camera("relative"))
    anchors = {"left_arm": torch.zeros(7).numpy(), "right_arm": torch.zeros(7).numpy()}
    far, edge = (
        transform.invert_action(np.full((40, 132), value), anchors) for value in (3.0, 1.0)
    )
    for key in far:
        np.testing.assert_array_equal(far[key], edge[key])
