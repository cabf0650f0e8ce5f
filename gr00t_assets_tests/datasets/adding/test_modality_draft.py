"""``modality.json`` drafted from features, as datasets that people publish have them."""

import json
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.adding.modality_draft import modality_draft
from gr00t_assets.modality.modality_json import preset_path
from gr00t_assets.modality.vector_names import SO_ARM
from gr00t_assets_tests.datasets.adding.declared import (
    TASK_INDEX,
    camera,
    chosen,
    dataset_of,
    declared,
    drafted,
    vector,
)
from gr00t_assets_tests.modality.test_vector_names import ROBOTS

SO100_DUALCAM = json.loads(preset_path("so100_dualcam").read_text())
CASES = Path(__file__).parents[2] / "data" / "cases"


def test_an_arm_without_names_is_guessed_and_says_so() -> None:
    draft = drafted(declared(None), "so100")
    assert draft.content == SO100_DUALCAM
    assert "those of so100: single_arm 0:5, gripper 5:6" in draft.notes[0]


@pytest.mark.parametrize("names", [None, ["a"], [f"motor_{i}" for i in range(9)], {"a": [1]}, 5])
def test_unknown_names_give_one_key_for_all(names: Any) -> None:
    draft = drafted(declared(names, 9))
    assert draft.content["state"] == {"state": {"start": 0, "end": 9}}
    assert draft.content["action"] == {"action": {"start": 0, "end": 9}}
    assert "they are one key 'state'" in draft.notes[0]


@pytest.mark.parametrize("robot", ROBOTS)
def test_slices_cover_the_vectors_of_every_robot_once(robot: str) -> None:
    names = ROBOTS[robot][0]
    draft = drafted(declared(names, len(names)), robot)
    for kind in ("state", "action"):
        slices = draft.file.action if kind == "action" else draft.file.state
        covered = [n for part in slices.values() for n in range(part.start, part.end)]
        assert covered == list(range(len(names)))


def test_columns_in_parts_become_keys_with_their_column() -> None:
    features = declared(list(SO_ARM))
    del features["observation.state"], features["action"]
    features["observation.states.joints"] = vector(6, list(SO_ARM))
    features["action.arm"] = vector(5, list(SO_ARM[:5]))
    features["action.gripper"] = vector(1, dtype="int64")
    content = drafted(features).content
    column = "observation.states.joints"
    assert content["state"] == {
        "single_arm": {"start": 0, "end": 5, "original_key": column},
        "gripper": {"start": 5, "end": 6, "original_key": column},
    }
    assert content["action"] == {
        "single_arm": {"start": 0, "end": 5, "original_key": "action.arm"},
        "gripper": {"start": 0, "end": 1, "original_key": "action.gripper"},
    }
    assert chosen(features).config.name == "so100_dualcam"


def test_columns_of_lerobots_droid() -> None:
    """Columns of parts stand beside the whole; the whole is trained on, every column is a key."""
    joints, pose = [f"joint_{i}" for i in range(7)], ["x", "y", "z", "roll", "pitch", "yaw"]
    arm, gripper = vector(7, {"axes": joints}), vector(1, {"axes": ["gripper"]})
    whole, cartesian = vector(8, {"axes": [*joints, "gripper"]}), vector(6, {"axes": pose})
    features = {
        "is_first": vector(1, dtype="bool"),
        "language_instruction": vector(1, dtype="string"),
        "observation.state.gripper_position": gripper,
        "observation.state.cartesian_position": cartesian,
        "observation.state.joint_position": arm,
        "observation.state": whole,
        **{f"observation.images.{name}": camera() for name in ("wrist_left", "exterior_1_left")},
        "action.gripper_position": gripper,
        "action.cartesian_position": cartesian,
        "action.cartesian_velocity": cartesian,
        "action.joint_velocity": arm,
        "action.original": vector(7, {"axes": [*pose, "gripper"]}),
        "action": whole,
        "reward": vector(1),
        "camera_extrinsics.wrist_left": vector(6, {"motors": ["cam_x", "cam_y"]}),
        **TASK_INDEX,
    }
    choice = chosen(features, "Franka")
    action = choice.draft.content["action"]
    columns = {entry.get("original_key", "action") for entry in action.values()}
    assert columns == {name for name in features if name.startswith("action")}
    for kind in ("state", "action"):
        assert choice.draft.trained[kind] == ["single_arm", "gripper"]
    left_out = [note for note in choice.draft.notes if "is left out" in note]
    names = {note.split()[0] for note in left_out}
    assert names == {"is_first", "language_instruction", "reward", "camera_extrinsics.wrist_left"}
    assert choice.config.name == "mine" and choice.embodiment_tag == "new_embodiment"


def test_columns_of_openpis_droid() -> None:
    features = {
        "exterior_image_1_left": camera() | {"dtype": "image"},
        "wrist_image_left": camera() | {"dtype": "image"},
        "joint_position": vector(7, ["joint_position"]),
        "gripper_position": vector(1, ["gripper_position"]),
        "actions": vector(8, ["actions"]),
        **TASK_INDEX,
    }
    draft = drafted(features, "panda")
    assert draft.content["state"] == {
        "single_arm": {"start": 0, "end": 7, "original_key": "joint_position"},
        "gripper": {"start": 0, "end": 1, "original_key": "gripper_position"},
    }
    assert list(draft.file.action) == ["single_arm", "gripper"]
    assert "no column is called observation.state" in draft.notes[0]
    assert list(draft.file.video) == ["exterior_image_1_left", "wrist_image_left"]


def test_other_columns_of_the_observation_are_keys_that_are_not_trained_on() -> None:
    features = declared([f"left_{joint}" for joint in SO_ARM]) | {
        "observation.contact": vector(1, dtype="bool"),
        "observation.tool_pose": {"dtype": "float32", "shape": [2, 3], "names": None},
        "observation.effort": vector(6, [f"left_{joint}" for joint in SO_ARM]),
        "observation.note": vector(1, dtype="string"),
        "next.reward": vector(1),
    }
    choice = chosen(features)
    state = choice.draft.content["state"]
    assert list(state) == ["left_arm", "left_gripper", "contact", "tool_pose", "effort"]
    assert state["tool_pose"] == {"start": 0, "end": 6, "original_key": "observation.tool_pose"}
    assert list(choice.config.state) == ["left_arm", "left_gripper"]
    noted = {note.split()[0] for note in choice.draft.notes}
    assert noted == {name for name in features if name.startswith(("observation.", "next."))} - {
        "observation.state",
        "observation.images.front",
        "observation.images.wrist",
    }


def test_what_the_model_has_no_room_for_is_left_out_of_training() -> None:
    draft = drafted(declared(None, 44), "GR1ArmsAndWaist")
    assert draft.trained["action"] == [
        "left_arm",
        "left_hand",
        "neck",
        "right_arm",
        "right_hand",
        "waist",
    ]
    assert any("not trained on: left_leg, right_leg" in note for note in draft.notes)
    assert len(draft.trained["state"]) == len(draft.file.action) == 8


def test_cameras_of_another_size_are_left_out() -> None:
    features = declared(list(SO_ARM), cameras=("a", "b"))
    choice = chosen(features | {"observation.images.c": camera(8)})
    assert choice.config.video == ("a", "b") and list(choice.draft.file.video) == ["a", "b", "c"]
    assert any(note.startswith("camera c is not used: it is 8 x 4") for note in choice.draft.notes)


def test_annotation_columns_are_kept() -> None:
    name = "annotation.human.action.task_description"
    features = declared(list(SO_ARM)) | {name: vector(1, dtype="int64")}
    features["annotation.human.validity"] = vector(1, dtype="int64")
    features["annotation.human.note"] = vector(1, dtype="string")
    choice = chosen(features | {"observation.images.third": camera()})
    assert choice.draft.content["annotation"] == {
        "human.task_description": {"original_key": "task_index"},
        "human.action.task_description": {},
        "human.validity": {},
    }
    assert choice.config.language == name
    assert any(note.startswith("annotation.human.note is left out") for note in choice.draft.notes)


def test_without_vectors_or_cameras_there_is_no_draft() -> None:
    with pytest.raises(DatasetError) as caught:
        modality_draft(dataset_of({"timestamp": vector(1)}))
    text = str(caught.value)
    assert "no column of numbers is state" in text and "no column of numbers is action" in text
    assert "there is no camera" in text
