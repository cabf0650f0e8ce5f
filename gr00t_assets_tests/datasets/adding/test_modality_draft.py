"""``modality.json`` drafted from features, as datasets that people publish have them."""

import json
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.adding.config_choice import ConfigChoice, choose_data_config
from gr00t_assets.datasets.adding.modality_draft import ModalityDraft, draft_modality, draft_of_file
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import Episode
from gr00t_assets.datasets.lerobot.features import parse_features
from gr00t_assets.datasets.lerobot.folder import FAULTS
from gr00t_assets.datasets.lerobot.info import Info
from gr00t_assets.modality.modality_json import parse_modality, preset_path
from gr00t_assets.modality.vector_names import SO_ARM
from gr00t_assets_tests.modality.test_vector_names import ROBOTS

SO100_DUALCAM = json.loads(preset_path("so100_dualcam").read_text())
CASES = Path(__file__).parents[2] / "data" / "cases"


def vector(size: int, names: Any = None, dtype: str = "float32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [size], "names": names}


def camera(width: int = 4) -> dict[str, Any]:
    return {"dtype": "video", "shape": [4, width, 3], "names": ["height", "width", "channels"]}


TASK_INDEX = {"task_index": vector(1, dtype="int64"), "timestamp": vector(1)}


def declared(state: Any, size: int = 6, cameras: tuple[str, ...] = ("front", "wrist")) -> Any:
    """Features as ``meta/info.json`` declares them."""
    joints = {"observation.state": vector(size, state), "action": vector(size, state)}
    return joints | TASK_INDEX | {f"observation.images.{name}": camera() for name in cameras}


def dataset_of(features: dict[str, Any], robot: str = "") -> LeRobotDataset:
    info = Info(features=parse_features(Collector(FAULTS), features), raw={"robot_type": robot})
    return LeRobotDataset(
        directory=Path("none"),
        name="mine",
        info=info,
        modality=None,
        tasks={},
        episodes=(Episode(0, 40),),
        cameras=tuple(item.name for item in info.cameras),
        warnings=(),
    )


def drafted(features: dict[str, Any], robot: str = "") -> ModalityDraft:
    draft = draft_modality(dataset_of(features, robot))
    parse_modality(draft.content(), "mine")
    return draft


def chosen(features: dict[str, Any], robot: str = "", asked: str | None = None) -> ConfigChoice:
    dataset = dataset_of(features, robot)
    return choose_data_config(dataset, draft_modality(dataset), "mine", asked, renamed=True)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    return tmp_path


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
    assert choice.draft.content() == SO100_DUALCAM
    assert (choice.config.name, choice.text, choice.draft.notes) == ("so100_dualcam", None, ())


def test_an_arm_without_names_is_guessed_and_says_so() -> None:
    draft = drafted(declared(None), "so100")
    assert draft.content() == SO100_DUALCAM
    assert "those of so100: single_arm 0:5, gripper 5:6" in draft.notes[0]


@pytest.mark.parametrize("names", [None, ["a"], [f"motor_{i}" for i in range(9)], {"a": [1]}, 5])
def test_unknown_names_give_one_key_for_all(names: Any) -> None:
    draft = drafted(declared(names, 9))
    assert draft.content()["state"] == {"state": {"start": 0, "end": 9}}
    assert draft.content()["action"] == {"action": {"start": 0, "end": 9}}
    assert "they are one key 'state'" in draft.notes[0]


@pytest.mark.parametrize("robot", ROBOTS)
def test_slices_cover_the_vectors_of_every_robot_once(robot: str) -> None:
    names = ROBOTS[robot][0]
    draft = drafted(declared(names, len(names)), robot)
    for kind in ("state", "action"):
        covered = [n for key in draft.keys(kind) for n in range(key.start, key.end)]
        assert covered == list(range(len(names)))


def test_columns_in_parts_become_keys_with_their_column() -> None:
    features = declared(list(SO_ARM))
    del features["observation.state"], features["action"]
    features["observation.states.joints"] = vector(6, list(SO_ARM))
    features["action.arm"] = vector(5, list(SO_ARM[:5]))
    features["action.gripper"] = vector(1, dtype="int64")
    content = drafted(features).content()
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
    action = choice.draft.content()["action"]
    columns = {entry.get("original_key", "action") for entry in action.values()}
    assert columns == {name for name in features if name.startswith("action")}
    for kind in ("state", "action"):
        assert [key.key for key in choice.draft.trained(kind)] == ["single_arm", "gripper"]
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
    assert draft.content()["state"] == {
        "single_arm": {"start": 0, "end": 7, "original_key": "joint_position"},
        "gripper": {"start": 0, "end": 1, "original_key": "gripper_position"},
    }
    assert [key.key for key in draft.action] == ["single_arm", "gripper"]
    assert "no column is called observation.state" in draft.notes[0]
    assert list(draft.video) == ["exterior_image_1_left", "wrist_image_left"]


def test_other_columns_of_the_observation_are_keys_that_are_not_trained_on() -> None:
    features = declared([f"left_{joint}" for joint in SO_ARM]) | {
        "observation.contact": vector(1, dtype="bool"),
        "observation.tool_pose": {"dtype": "float32", "shape": [2, 3], "names": None},
        "observation.effort": vector(6, [f"left_{joint}" for joint in SO_ARM]),
        "observation.note": vector(1, dtype="string"),
        "next.reward": vector(1),
    }
    choice = chosen(features)
    state = choice.draft.content()["state"]
    assert list(state) == ["left_arm", "left_gripper", "contact", "tool_pose", "effort"]
    assert state["tool_pose"] == {"start": 0, "end": 6, "original_key": "observation.tool_pose"}
    assert [key.key for key in choice.config.state] == ["left_arm", "left_gripper"]
    noted = {note.split()[0] for note in choice.draft.notes}
    assert noted == {name for name in features if name.startswith(("observation.", "next."))} - {
        "observation.state",
        "observation.images.front",
        "observation.images.wrist",
    }


def test_a_gripper_beside_the_action_is_trained_on_and_a_bool_is_binary() -> None:
    arm = [f"joint_{i}" for i in range(6)]
    features = declared(arm) | {"action.gripper": vector(1, dtype="bool")}
    choice = chosen(features)
    assert [key.key for key in choice.config.action] == ["action", "gripper"]
    assert [key.normalization for key in choice.config.action] == ["min_max", "binary"]


def test_what_the_model_has_no_room_for_is_left_out_of_training() -> None:
    draft = drafted(declared(None, 44), "GR1ArmsAndWaist")
    trained = [key.key for key in draft.trained("action")]
    assert trained == ["left_arm", "left_hand", "neck", "right_arm", "right_hand", "waist"]
    assert any("not trained on: left_leg, right_leg" in note for note in draft.notes)
    assert len(draft.trained("state")) == len(draft.action) == 8


def test_cameras_of_another_size_are_left_out() -> None:
    features = declared(list(SO_ARM), cameras=("a", "b"))
    choice = chosen(features | {"observation.images.c": camera(8)})
    assert choice.config.video == ("a", "b") and list(choice.draft.video) == ["a", "b", "c"]
    assert any(note.startswith("camera c is not used: it is 8 x 4") for note in choice.draft.notes)


def test_annotation_columns_are_kept() -> None:
    name = "annotation.human.action.task_description"
    features = declared(list(SO_ARM)) | {name: vector(1, dtype="int64")}
    features["annotation.human.validity"] = vector(1, dtype="int64")
    features["annotation.human.note"] = vector(1, dtype="string")
    choice = chosen(features | {"observation.images.third": camera()})
    assert choice.draft.content()["annotation"] == {
        "human.task_description": {"original_key": "task_index"},
        "human.action.task_description": {},
        "human.validity": {},
    }
    assert choice.config.language == name
    assert any(note.startswith("annotation.human.note is left out") for note in choice.draft.notes)


def test_without_vectors_or_cameras_there_is_no_draft() -> None:
    with pytest.raises(DatasetError) as caught:
        draft_modality(dataset_of({"timestamp": vector(1)}))
    text = str(caught.value)
    assert "no column of numbers is state" in text and "no column of numbers is action" in text
    assert "there is no camera" in text


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
    assert set(choice.config.video) <= set(choice.draft.video)
    columns = {f"observation.images.{name}" for name in cameras}
    assert set(choice.draft.video.values()) == columns
    if "wrist" in choice.config.video:
        assert "wrist" in choice.draft.video["wrist"]


def test_humanoids_get_the_config_of_their_robot() -> None:
    names = ROBOTS["g1 dex3"][0]
    one_camera = declared(names, 28, ("cam_left_high",))
    choice = chosen(one_camera, "Unitree_G1_Dex3")
    assert (choice.config.name, choice.embodiment_tag) == ("unitree_g1", "new_embodiment")
    choice = chosen(declared(None, 44, ("ego_view",)), "GR1ArmsOnly")
    assert (choice.config.name, choice.embodiment_tag) == ("fourier_gr1_arms_waist", "gr1")
    assert "does not train on" in choice.notes[-1]
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
    dataset = dataset_of(declared(None, 7, ("top", "side")))
    content = {
        "state": {"arm": {"start": 0, "end": 7}},
        "action": {"arm": {"start": 0, "end": 6}, "grip": {"start": 6, "end": 7, "dtype": "bool"}},
        "video": {"top": {"original_key": "observation.images.top"}},
        "annotation": {"human.task": {"original_key": "task_index"}},
    }
    draft = draft_of_file(dataset, content)
    choice = choose_data_config(dataset, draft, "mine", None, renamed=False)
    assert choice.config.video == ("top",)
    assert [key.normalization for key in choice.config.action] == ["min_max", "binary"]
    assert choice.config.language == "annotation.human.task"


@pytest.mark.parametrize("name", ["openpi-names", "draft-drops-integer-action"])
def test_cases(name: str) -> None:
    """Public kinds of columns: none is dropped without a note."""
    dataset = LeRobotDataset.open(CASES / name / "v21")
    choice = choose_data_config(dataset, draft_modality(dataset), "mine", None, renamed=True)
    content = choice.draft.content()
    assert choice.config.name == "so100_dualcam"
    if name == "openpi-names":
        assert content["state"]["single_arm"] == {"start": 0, "end": 5, "original_key": "state"}
        assert content["action"]["gripper"] == {"start": 5, "end": 6, "original_key": "actions"}
        assert content["video"]["wrist"] == {"original_key": "wrist_image"}
        assert "there is no column observation.state; state is state" in choice.draft.notes
    else:
        gripper = {"start": 0, "end": 1, "original_key": "action.gripper"}
        assert content["action"]["gripper"] == gripper
