import json
from pathlib import Path

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.modality.modality_json import parse_modality


def test_the_demo_file(demo_dataset: Path) -> None:
    found = parse_modality(json.loads((demo_dataset / "meta/modality.json").read_text()), "demo")
    assert (found.state["right_hand"].start, found.state["right_hand"].end) == (29, 35)
    assert found.state["right_hand"].absolute
    assert found.vector_column("state", "left_arm") == "observation.state"
    assert found.vector_column("action", "left_arm") == "action"
    assert found.video_feature("ego_view") == "observation.images.ego_view"
    language = "annotation.human.action.task_description"
    assert found.annotation_column(language) == language
    assert found.annotation_column("annotation.human.coarse_action") is None
    assert not list(found.unknown_fields())


def test_original_keys() -> None:
    found = parse_modality(
        {
            "state": {
                "wheels": {"start": 0, "end": 2, "original_key": "observation.wheels"},
                "lift": {"start": 0, "end": 1, "original_key": None},
            },
            "action": {},
            "video": {"webcam": {}},
            "annotation": {"human.task_description": {"original_key": "task_index"}},
        },
        "demo",
    )
    assert found.vector_column("state", "wheels") == "observation.wheels"
    assert found.vector_column("state", "lift") == "lift"
    assert found.video_feature("webcam") == "webcam"
    assert found.annotation_column("annotation.human.task_description") == "task_index"


def test_everything_wrong_is_listed_at_once() -> None:
    raw = {
        "state": {
            "arm": {"start": -1, "end": "x"},
            "wrist": {"start": 0, "end": 3, "rotation_type": "quaternion"},
            "hand": {"start": 3, "end": 3},
            "base": {"start": 0, "end": 3, "rotation_type": "axis_angel"},
            "leg": {"start": 0, "end": 1, "dtype": "f8,("},
        },
        "action": {"arm": 5, "hand": {"start": 0, "end": 1, "dtype": "float65"}},
    }
    with pytest.raises(DatasetError) as caught:
        parse_modality(raw, "demo")
    lines = caught.value.details
    assert caught.value.problem == "9 fields are wrong in meta/modality.json."
    for expected in (
        "state.arm.start: Input should be greater than or equal to 0, found -1",
        "state.arm.end: ",
        "state.wrist: the slice 0:3 has 3 numbers; quaternion takes 4",
        "state.hand: the slice 3:3 is empty",
        "state.base.rotation_type: 'axis_angel' is no representation; did you mean 'axis_angle'?",
        "state.leg.dtype: 'f8,(' is no NumPy type",
        "action.arm: ",
        "action.hand.dtype: 'float65' is no NumPy type",
        "video: is missing",
    ):
        assert sum(line.startswith(f"meta/modality.json: {expected}") for line in lines) == 1


def test_a_missing_file_and_a_file_that_is_a_list() -> None:
    with pytest.raises(DatasetError, match=r"meta/modality.json is missing"):
        parse_modality(None, "demo")
    with pytest.raises(DatasetError, match="the file: "):
        parse_modality([], "demo")  # type: ignore[arg-type]


def test_a_misspelt_field_is_named() -> None:
    raw = {
        "state": {"arm": {"start": 0, "end": 3, "orignal_key": "x"}},
        "action": {},
        "video": {},
        "anotation": {},
    }
    assert tuple(parse_modality(raw, "demo").unknown_fields()) == (
        "meta/modality.json: anotation is not read; did you mean 'annotation'?",
        "meta/modality.json: state.arm.orignal_key is not read; did you mean 'original_key'?",
    )
