import json
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.fit.modality_proposal import (
    accept_proposal,
    accepted_path,
    missing_modality,
    proposal_path,
    propose_modality,
    save_proposal,
)
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.datasets.synthetic.spec import SyntheticSpec
from gr00t_assets.modality.modality_json import parse_modality, preset_path
from gr00t_assets.modality.vector_names import SO_ARM, named_parts, number_names

SO100_DUALCAM = json.loads(preset_path("so100_dualcam").read_text())


@pytest.fixture(scope="module")
def so101(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demonstrations of an SO-101 with cameras front and wrist, and without modality.json."""
    directory = tmp_path_factory.mktemp("datasets") / "so101"
    spec = SyntheticSpec(
        robot="so101", episodes=1, min_frames=40, max_frames=40, width=64, height=64
    )
    generate(spec, directory)
    (directory / "meta" / "modality.json").unlink()
    return directory


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def info(state: Any, size: int = 6, robot: str = "") -> dict[str, Any]:
    vector = {"dtype": "float32", "shape": [size], "names": state}
    cameras = {
        f"observation.images.{name}": {"dtype": "video", "shape": [4, 4, 3]}
        for name in ("front", "wrist")
    }
    own = {"observation.state": vector, "action": vector, "task_index": {"dtype": "int64"}}
    return {"robot_type": robot, "features": {**own, **cameras}}


def test_an_so101_gives_the_file_of_so100_dualcam(so101: Path) -> None:
    proposal = propose_modality(LeRobotDataset.open(so101))
    assert proposal.modality == SO100_DUALCAM
    assert proposal.data_configs == ("so100_dualcam",)
    assert proposal.notes == ()


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
def test_so_arms_in_every_spelling(names: Any) -> None:
    assert propose_modality(info(names)).modality == SO100_DUALCAM


def test_an_so100_without_names_is_guessed_and_says_so() -> None:
    proposal = propose_modality(info(None, robot="so100"))
    assert proposal.modality == SO100_DUALCAM
    assert proposal.notes[0] == (
        "observation.state: its numbers have no names; taken for so100's 5 joints and gripper"
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            [f"{side}_{joint}.pos" for side in ("left", "right") for joint in SO_ARM],
            [
                ("left_arm", 0, 5),
                ("left_gripper", 5, 6),
                ("right_arm", 6, 11),
                ("right_gripper", 11, 12),
            ],
        ),
        (
            [f"left_arm_{i}" for i in range(7)]
            + [f"left_hand_{i}" for i in range(6)]
            + ["waist_0"],
            [("left_arm", 0, 7), ("left_hand", 7, 13), ("waist", 13, 14)],
        ),
        (
            ["kLeftShoulderPitch", "kLeftElbow", "kRightShoulderPitch", "kLeftHandThumb0"],
            [("left_arm", 0, 2), ("right_arm", 2, 3), ("left_hand", 3, 4)],
        ),
        (
            ["arm_0", "gripper", "arm_1"],
            [("single_arm", 0, 1), ("gripper", 1, 2), ("single_arm_2", 2, 3)],
        ),
        (["tentacle_0", "tentacle_1", "gripper"], [("tentacle", 0, 2), ("gripper", 2, 3)]),
        (["motor_0", "motor_1"], None),
        (["speed", "arm_0"], None),
    ],
)
def test_parts_by_name(names: list[str], expected: list[tuple[str, int, int]] | None) -> None:
    assert named_parts(names) == expected


def test_slices_cover_the_vector_once() -> None:
    names = [
        f"{side}_{part}_{i}"
        for side in ("left", "right")
        for part in ("arm", "hand")
        for i in range(3)
    ]
    state = propose_modality(info(names, 12)).modality["state"]
    covered = [number for entry in state.values() for number in range(entry["start"], entry["end"])]
    assert covered == list(range(12))


@pytest.mark.parametrize("names", [None, ["a"], [f"motor_{i}" for i in range(9)], {"a": [1]}, 5])
def test_unknown_names_give_one_key_for_all(names: Any) -> None:
    proposal = propose_modality(info(names, 9))
    assert proposal.modality["state"] == {"state": {"start": 0, "end": 9}}
    assert proposal.modality["action"] == {"action": {"start": 0, "end": 9}}
    assert "kept as one key 'state'" in proposal.notes[0]
    parse_modality(proposal.modality, "x")


def test_columns_in_place_of_the_default_ones() -> None:
    given = info(list(SO_ARM))
    features = given["features"]
    features["observation.states.joints"] = features.pop("observation.state")
    proposal = propose_modality(given)
    assert proposal.modality["state"] == {
        "joints": {"start": 0, "end": 6, "original_key": "observation.states.joints"}
    }
    parsed = parse_modality(proposal.modality, "x")
    assert parsed.vector_column("state", "joints") == "observation.states.joints"
    assert proposal.notes[0] == (
        "observation.state is missing; taken for state: observation.states.joints"
    )


def test_annotation_columns_are_kept() -> None:
    column = {"annotation.human.action.task_description": {"dtype": "int64", "shape": [1]}}
    given = info(list(SO_ARM))
    given["features"] |= column
    annotation = propose_modality(given).modality["annotation"]
    assert annotation == {
        "human.action.task_description": {},
        "human.task_description": {"original_key": "task_index"},
    }


def test_without_vectors_there_is_no_proposal() -> None:
    with pytest.raises(DatasetError) as caught:
        propose_modality({"features": {"timestamp": {"dtype": "float32", "shape": [1]}}})
    assert "no vector of state" in str(caught.value) and "no vector of action" in str(caught.value)


def test_the_error_shows_the_proposal_and_the_command(so101: Path, store: Store) -> None:
    before = sorted(str(path) for path in so101.rglob("*"))
    text = str(missing_modality(LeRobotDataset.open(so101, "mine"), store))
    assert "  state: single_arm 0:5, gripper 5:6\n" in text
    assert "data configs that the proposal fits: so100_dualcam" in text
    assert str(proposal_path("mine", store)) in text
    assert "run: gr00t-assets dataset accept-modality mine" in text
    assert sorted(str(path) for path in so101.rglob("*")) == before


def test_an_accepted_proposal_is_a_modality_file(so101: Path, store: Store) -> None:
    proposal = propose_modality(LeRobotDataset.open(so101))
    path = save_proposal("mine", proposal, store)
    assert path == store.root / "datasets" / "mine" / "modality.proposed.json"
    assert json.loads(path.read_text())["data_configs"] == ["so100_dualcam"]
    accepted = accept_proposal("mine", store)
    assert accepted == accepted_path("mine", store)
    assert json.loads(accepted.read_text()) == SO100_DUALCAM
    assert not path.exists()
    with pytest.raises(DatasetError, match="was accepted before"):
        accept_proposal("mine", store)


def test_an_edited_proposal_is_kept_and_held_to_the_schema(so101: Path, store: Store) -> None:
    proposal = propose_modality(LeRobotDataset.open(so101))
    path = save_proposal("mine", proposal, store)
    content = json.loads(path.read_text())
    content["modality"]["state"]["gripper"]["end"] = 5
    path.write_text(json.dumps(content))
    save_proposal("mine", proposal, store)
    with pytest.raises(DatasetError) as caught:
        accept_proposal("mine", store)
    assert "state.gripper: the slice 5:5 is empty" in str(caught.value)
    assert path.is_file() and not accepted_path("mine", store).exists()


@pytest.mark.parametrize("text", ["", "[]", '{"modality": 3}', "{", '"x"'])
def test_a_damaged_proposal_is_an_error(store: Store, text: str) -> None:
    path = proposal_path("mine", store)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DatasetError, match="the proposal"):
        accept_proposal("mine", store)
    assert path.read_text() == text


def test_accepting_nothing_says_how_to_get_a_proposal(store: Store) -> None:
    with pytest.raises(DatasetError, match="there is no proposal"):
        accept_proposal("mine", store)


def test_positions_of_names() -> None:
    assert number_names({"a": [1, 2]}, 2) is None
    assert number_names(["a", ""], 2) is None


def test_a_proposal_under_its_older_name_is_accepted(so101: Path, store: Store) -> None:
    proposal = propose_modality(LeRobotDataset.open(so101))
    older = store.root / "datasets" / "mine" / "modality.draft.json"
    save_proposal("mine", proposal, store).rename(older)
    assert save_proposal("mine", proposal, store) == older
    accept_proposal("mine", store)
    assert not older.exists() and accepted_path("mine", store).is_file()
