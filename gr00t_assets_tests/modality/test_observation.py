"""What a person, a robot or a client may say, and how each mistake is told."""

import math

import numpy as np
import pytest

from gr00t_assets.core.errors import ObservationError
from gr00t_assets.modality.images import resized
from gr00t_assets.modality.observation import ObservationReader
from gr00t_assets_tests.serving.arm import (
    CENTRE,
    HIGH,
    JOINTS,
    LOW,
    TASK,
    arm_config,
    normalised,
    observation,
)

READER = ObservationReader(arm_config())
IMAGES = {name: observation()[name] for name in ("front", "wrist")}
PAIRS = list(zip(JOINTS, CENTRE, strict=True))
ARM, GRIPPER = CENTRE[:5], CENTRE[5:]


def told(state: object, **fields: object) -> dict[str, object]:
    return {**IMAGES, "state": state, "task": "go", **fields}


def problems(asked: dict) -> list[str]:
    with pytest.raises(ObservationError) as error:
        READER.read(asked)
    *lines, expected = error.value.details
    assert expected.startswith("expected: video.front (H, W, 3) uint8")
    assert all(name in expected for name in JOINTS)
    return lines


@pytest.mark.parametrize(
    "state",
    [
        {"state": CENTRE},
        {"state": CENTRE.astype(np.float32)},
        {"state": CENTRE.tolist(), "state_names": list(JOINTS)},
        {"state": dict(reversed(PAIRS))},
        {"state": {f"main_{name.removesuffix('.pos')}": x for name, x in PAIRS}},
        dict(PAIRS),
        {"state.single_arm": ARM, "state.gripper": GRIPPER},
        {"state.single_arm": ARM, "gripper.pos": float(GRIPPER[0])},
    ],
)
def test_every_way_to_say_a_state_is_the_same(state: dict) -> None:
    read = READER.read({**IMAGES, "task": "go", **state})
    assert read.states.shape == (1, 64) and read.states.dtype == np.float32
    np.testing.assert_allclose(read.states[0, :6], normalised(CENTRE), atol=1e-6)
    assert read.task == "go" and read.warnings == () and read.frames.shape == (2, 48, 64, 3)


def test_the_dataset_order_is_not_the_data_configs() -> None:
    config = arm_config()
    swapped = config.model_copy(update={"state": config.state[::-1]})
    reader = ObservationReader(swapped)
    assert reader.state.names == JOINTS
    pose = np.append(ARM, 57)
    read, expected = reader.read(told(pose)), normalised(pose)
    np.testing.assert_allclose(read.states[0, :6], [expected[5], *expected[:5]], atol=1e-6)


def test_names_that_a_dataset_does_not_have_are_places() -> None:
    state = [key.model_copy(update={"names": ()}) for key in arm_config().state]
    reader = ObservationReader(arm_config(state=tuple(state)))
    assert reader.state.names[0] == "single_arm[0]" and reader.state.names[-1] == "gripper[0]"


def test_images_of_any_size_become_those_of_the_frame_cache() -> None:
    large = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    read = READER.read(told(CENTRE, front=large))
    np.testing.assert_array_equal(read.frames[0], resized(large, (64, 48)))
    np.testing.assert_array_equal(read.frames[1], IMAGES["wrist"])
    cached = ObservationReader(arm_config(frame_size=(32, 24)))
    assert cached.read(told(CENTRE)).frames.shape == (2, 24, 32, 3)


def test_other_proportions_and_a_covered_camera_are_warned_of() -> None:
    read = READER.read(told(CENTRE, front=np.zeros((90, 160, 3), np.uint8)))
    assert read.warnings == (
        "camera front: 160 x 90 has other proportions than 64 x 48, which it was trained on",
        "camera front: the image is one colour all over",
    )


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((3, 48, 64), np.uint8), "channels come first"),
        (np.zeros((48, 64, 3)), "give uint8 from 0 to 255"),
        (np.zeros((48, 64), np.uint8), "shape 48 x 64"),
        ("a path", "of shape a number"),
    ],
)
def test_an_image_of_another_form_is_named_by_its_camera(image: object, found: str) -> None:
    (line,) = problems(told(CENTRE, wrist=image))
    assert line.startswith("camera wrist: ") and found in line


def test_all_problems_are_told_at_once() -> None:
    lines = problems({"frnt": IMAGES["front"], "state.single_arm": ARM[:4], "video.wrist": 3})
    text = "\n".join(lines)
    assert "camera front: is missing" in text
    assert "camera wrist: " in text
    assert "state.single_arm: it has the shape (4,), not (5,): shoulder_pan.pos" in text
    assert "state: gripper.pos is missing" in text
    assert "task: is missing" in text
    assert "'frnt': the model does not take this" in text


def test_a_further_camera_or_joint_is_warned_of() -> None:
    read = READER.read({**observation(), "top": IMAGES["front"], "gripper.vel": 0.1})
    assert [line.partition(":")[0] for line in read.warnings] == ["'top'", "'gripper.vel'"]


def test_a_number_that_is_not_finite_or_given_twice_is_named() -> None:
    state = CENTRE.copy()
    state[3] = math.nan
    assert problems(told(state)) == ["state: wrist_flex.pos is NaN or infinite"]
    assert problems(told(CENTRE, **{"state.gripper": GRIPPER})) == [
        "state: gripper.pos is given twice"
    ]


def test_another_order_by_name_is_refused() -> None:
    names = [JOINTS[-1], *JOINTS[:-1]]
    (line,) = problems(told(np.roll(CENTRE, 1), state_names=names))
    assert "number 0 is gripper.pos, and shoulder_pan.pos is expected there" in line


@pytest.mark.parametrize("pose", [CENTRE, LOW + 0.2 * (HIGH - LOW), LOW + 0.7 * (HIGH - LOW)])
def test_radians_where_degrees_were_trained_are_refused(pose: np.ndarray) -> None:
    radians = np.radians(pose[:5])
    (line,) = problems({**IMAGES, "task": "go", "state.single_arm": radians, "gripper.pos": 5})
    assert "single_arm is not in the units" in line and "radians to degrees" in line
    assert "outside the trained range" in line


def test_the_order_of_other_software_is_told_by_the_values() -> None:
    (line,) = problems(told(CENTRE[::-1]))
    assert "another order" in line and ", ".join(JOINTS) in line


def test_a_joint_outside_its_range_is_named_with_the_range() -> None:
    beyond = CENTRE.copy()
    beyond[1] = 60
    read = READER.read(told(beyond))
    expected = "shoulder_lift.pos is 60, outside the trained range -90 to 10"
    assert read.warnings == (expected,)
    beyond[1] = 15  # by less than the margin
    assert READER.read(told(beyond)).warnings == ()
    beyond[1] = 2048
    assert problems(told(beyond)) == [
        "shoulder_lift.pos is 2048, outside the trained range -90 to 10"
    ]


def test_no_pose_of_the_data_is_refused() -> None:
    poses = np.random.default_rng(2).uniform(LOW, HIGH, (500, 6))
    for pose in poses:
        assert READER.read(told(pose)).warnings == ()


def test_the_task_is_text_under_any_of_its_names() -> None:
    del (asked := told(CENTRE))["task"]
    assert READER.read({**asked, TASK: "go on"}).task == "go on"
    assert problems({**asked, "task": 3}) == ["task: is no text: '3'"]
    assert "<|im_end|>" in problems({**asked, "task": "go <|im_end|>"})[0]
    assert "2,001 characters" in problems({**asked, "task": "x" * 2001})[0]


def test_a_model_without_language_is_told_what_it_was_told_in_training() -> None:
    read = ObservationReader(arm_config(language=None)).read(told(CENTRE))
    assert read.task == "Perform the default behavior." and "without language" in read.warnings[0]


def test_the_example_is_taken() -> None:
    assert READER.read(READER.example()).warnings == ()


def test_names_change_no_hash() -> None:
    config = arm_config()
    bare = arm_config(
        state=tuple(key.model_copy(update={"names": ()}) for key in config.state),
        action=tuple(key.model_copy(update={"names": ()}) for key in config.action),
    )
    assert config.content_hash() == bare.content_hash()
    other = config.state[0].model_copy(update={"end": 4})
    assert arm_config(state=(other, config.state[1])).content_hash() != bare.content_hash()
