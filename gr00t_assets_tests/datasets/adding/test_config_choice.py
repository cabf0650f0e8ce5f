"""The data config of a new dataset: one that fits, or a draft."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.datasets.adding.config_choice import choose_data_config
from gr00t_assets.datasets.adding.modality_draft import modality_draft
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.modality_json import preset_path
from gr00t_assets.modality.vector_names import SO_ARM
from gr00t_assets_tests.datasets.adding.declared import camera, chosen, dataset_of, declared, vector
from gr00t_assets_tests.modality.test_vector_names import ROBOTS

SO100_DUALCAM = json.loads(preset_path("so100_dualcam").read_text())
CASES = Path(__file__).parents[2] / "data" / "cases"


@pytest.mark.parametrize(
    "names",
    [
        list(SO_ARM),
        [f"main_{joint}" for joint in SO_ARM],
        [[f"{joint}.pos" for joint in SO_ARM]],
        {"motors": [f"main_{joint}" for joint in SO_ARM]},
        {joint: position for position, joint in enumerate(SO_ARM)},
    ],
)
def test_so_arms_in_every_spelling_give_nvidias_file(names: Any) -> None:
    choice = chosen(declared(names))
    assert choice.draft.content == SO100_DUALCAM
    assert (choice.config.name, choice.text, choice.draft.notes) == ("so100_dualcam", None, ())


def test_a_gripper_beside_the_action_is_trained_on_and_a_bool_is_binary() -> None:
    arm = [f"joint_{i}" for i in range(6)]
    features = declared(arm) | {"action.gripper": vector(1, dtype="bool")}
    choice = chosen(features)
    assert list(choice.config.action) == ["action", "gripper"]
    assert [key.normalization for key in choice.config.action.values()] == ["min_max", "binary"]


@pytest.mark.parametrize(
    ("cameras", "config"),
    [
        (("top",), "so100"),
        (("image", "wrist_image"), "so100_dualcam"),
        (("wrist", "top"), "so100_dualcam"),
        (("laptop", "phone"), "mine"),
        (("front", "wrist", "top"), "mine"),
    ],
)
def test_cameras_are_named_as_the_built_in_config_does(cameras: Any, config: str) -> None:
    choice = chosen(declared(list(SO_ARM), cameras=cameras))
    assert choice.config.name == config
    video = {key: item.original_key for key, item in choice.draft.file.video.items()}
    assert set(choice.config.video) <= set(video)
    assert set(video.values()) == {f"observation.images.{name}" for name in cameras}
    if "wrist" in choice.config.video:
        assert "wrist" in str(video["wrist"])


def test_no_camera_takes_the_name_of_one_that_is_not_used() -> None:
    features = declared(list(SO_ARM), cameras=("image", "wrist_image"))
    choice = chosen(features | {"observation.images.front": camera(8)})
    video = {key: item.original_key for key, item in choice.draft.file.video.items()}
    used = {video[key] for key in choice.config.video}
    assert used == {"observation.images.image", "observation.images.wrist_image"}
    assert len(video) == 3


def test_humanoids_get_the_config_of_their_robot() -> None:
    names = ROBOTS["g1 dex3"][0]
    one_camera = declared(names, 28, ("cam_left_high",))
    choice = chosen(one_camera, "Unitree_G1_Dex3")
    assert (choice.config.name, choice.embodiment_tag) == ("unitree_g1", "new_embodiment")
    choice = chosen(declared(None, 44, ("ego_view",)), "GR1ArmsOnly")
    assert (choice.config.name, choice.embodiment_tag) == ("fourier_gr1_arms_waist", "gr1")
    assert "does not train on" in choice.draft.notes[-1]
    choice = chosen(one_camera, "another")
    assert choice.config.name == "mine"


def test_a_data_config_that_is_named_is_honoured() -> None:
    features = declared(list(SO_ARM), cameras=("top",))
    assert chosen(features, asked="so100").config.name == "so100"
    choice = chosen(declared(None, 9), asked="so100")
    assert choice.config.name == "so100" and choice.text is None
    with pytest.raises(Exception, match="did you mean 'so100'"):
        chosen(features, asked="so10")


def test_a_second_dataset_of_a_robot_takes_the_config_of_the_first(project: Path) -> None:
    features = declared([f"left_joint_{i}" for i in range(6)])
    first = chosen(features)
    assert first.config.name == "mine" and first.text is not None
    folder = project / "data" / "data_configs"
    folder.mkdir(parents=True)
    (folder / "other.yaml").write_text(first.text)
    second = chosen(features)
    assert second.config.name == "other" and second.text is None
    cameras = chosen(declared([f"left_joint_{i}" for i in range(6)], cameras=("top", "wrist")))
    assert cameras.config.name == "mine" and cameras.config.video == ("top", "wrist")


def test_a_file_that_is_there_gets_a_data_config(project: Path) -> None:
    content = {
        "state": {"arm": {"start": 0, "end": 7}},
        "action": {"arm": {"start": 0, "end": 6}, "grip": {"start": 6, "end": 7, "dtype": "bool"}},
        "video": {"top": {"original_key": "observation.images.top"}},
        "annotation": {"human.task": {"original_key": "task_index"}},
    }
    features = declared(None, 7, ("top", "side"))
    dataset = replace(dataset_of(features), modality=content)
    choice = choose_data_config(dataset, modality_draft(dataset), None)
    assert choice.draft.content == content
    assert choice.config.video == ("top",)
    assert [key.normalization for key in choice.config.action.values()] == ["min_max", "binary"]
    assert choice.config.language == "annotation.human.task"


@pytest.mark.parametrize("name", ["openpi-names", "draft-drops-integer-action"])
def test_cases(name: str) -> None:
    """Public kinds of columns: none is dropped without a note."""
    dataset = LeRobotDataset.open(CASES / name / "v21", "mine")
    choice = choose_data_config(dataset, modality_draft(dataset), None)
    content = choice.draft.content
    assert choice.config.name == "so100_dualcam"
    if name == "openpi-names":
        assert content["state"]["single_arm"] == {"start": 0, "end": 5, "original_key": "state"}
        assert content["action"]["gripper"] == {"start": 5, "end": 6, "original_key": "actions"}
        assert content["video"]["wrist"] == {"original_key": "wrist_image"}
        assert "there is no column observation.state; state is state" in choice.draft.notes
    else:
        gripper = {"start": 0, "end": 1, "original_key": "action.gripper"}
        assert content["action"]["gripper"] == gripper
