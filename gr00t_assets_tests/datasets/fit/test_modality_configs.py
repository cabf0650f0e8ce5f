import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.fit.fit_check import DatasetFacts, fitting_data_configs
from gr00t_assets.datasets.fit.modality_configs import resolve_modality_config
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.record import Camera
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.data_config import data_configs

NAME = "robot_sim.PickNPlace"
Edit = Callable[[str, Callable[[Any], None]], None]


def _resolve(
    path: Path, data_config: str = "fourier_gr1_arms_only", tag: str = "gr1"
) -> ModalityConfig:
    return resolve_modality_config(LeRobotDataset.open(path, NAME), NAME, "v1", data_config, tag)


def _error(path: Path, *arguments: str) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        _resolve(path, *arguments)
    return caught.value


def test_the_demo_fits_one_of_the_twelve(demo_dataset: Path) -> None:
    assert fitting_data_configs(DatasetFacts(LeRobotDataset.open(demo_dataset))) == [
        "fourier_gr1_arms_only"
    ]


def test_the_demo_resolved(demo_dataset: Path) -> None:
    config = _resolve(demo_dataset)
    assert [key.key for key in config.state] == ["left_arm", "right_arm", "left_hand", "right_hand"]
    assert (config.state_dim, config.action_dim, config.embodiment_id) == (52, 26, 24)
    assert [(key.start, key.end) for key in config.action] == [(0, 7), (22, 29), (7, 13), (29, 35)]
    assert config.action[1].normalization == "min_max"
    assert config.state[0].sin_cos
    assert config.language == "annotation.human.action.task_description"
    camera = config.video[0]
    assert (camera.original_key, camera.height, camera.width, camera.fps) == (
        "observation.images.ego_view",
        256,
        256,
        20.0,
    )
    assert config.state[0].statistics.mean[3] == -2.0737104415893555
    assert len(config.warnings) == 1
    assert "start at 0.05 s" in config.warnings[0]
    assert "row i gets frame i+1" in config.warnings[0]


def test_a_config_that_does_not_fit_lists_all_that_is_missing(demo_dataset: Path) -> None:
    parts = "left_arm, left_hand, left_leg, neck, right_arm, right_hand, right_leg, waist"
    assert _error(demo_dataset, "so100_dualcam").explain() == "\n".join(
        [
            "DatasetError: robot_sim.PickNPlace: camera 'front' is not in this dataset.",
            "  data config so100_dualcam needs video keys: front, wrist",
            "  the dataset has: ego_view",
            "  data config so100_dualcam needs state keys: single_arm, gripper",
            f"  the dataset has: {parts}",
            "  data config so100_dualcam needs action keys: single_arm, gripper",
            f"  the dataset has: {parts}",
            "  data config so100_dualcam needs language keys: annotation.human.task_description",
            "  the dataset has: annotation.human.action.task_description, "
            "annotation.human.validity",
            "  data configs that fit this dataset: fourier_gr1_arms_only",
        ]
    )


@pytest.mark.parametrize(
    "name", [name for name in data_configs() if name != "fourier_gr1_arms_only"]
)
def test_the_other_eleven_are_refused_with_the_one_that_fits(demo_dataset: Path, name: str) -> None:
    message = str(_error(demo_dataset, name))
    assert message.endswith("data configs that fit this dataset: fourier_gr1_arms_only")


def test_a_camera_set_missing_alone_is_the_whole_message(
    spoilt_copy: Path, edit_meta: Edit
) -> None:
    def as_so100(file: Any) -> None:
        for modality in ("state", "action"):
            file[modality]["single_arm"] = {"start": 0, "end": 5}
            file[modality]["gripper"] = {"start": 5, "end": 6}
        file["annotation"]["human.task_description"] = {"original_key": "task_index"}

    edit_meta("modality.json", as_so100)
    assert _error(spoilt_copy, "so100_dualcam").explain() == "\n".join(
        [
            "DatasetError: robot_sim.PickNPlace: camera 'front' is not in this dataset.",
            "  data config so100_dualcam needs video keys: front, wrist",
            "  the dataset has: ego_view",
            "  data configs that fit this dataset: fourier_gr1_arms_only",
        ]
    )
    edit_meta("modality.json", lambda file: file["video"].update(webcam=file["video"]["ego_view"]))
    config = _resolve(spoilt_copy, "so100", "new_embodiment")
    assert (config.language, config.state_dim, config.embodiment_id) == ("task_index", 6, 31)


def test_unknown_names(demo_dataset: Path) -> None:
    error = _error(demo_dataset, "so101", "gr2")
    assert error.problem == "there is no data config 'so101'; did you mean 'so100'?"
    assert "embodiment tag 'gr2' is not one of N1.5's: gr1, oxe_droid" in str(error)
    alone = _error(demo_dataset, "fourier_gr1_arms_only", "gr2")
    assert alone.problem.startswith("embodiment tag 'gr2'")
    assert alone.details == ("a robot that the base model has not seen takes new_embodiment",)


def test_part_of_the_keys_missing_is_told_apart(spoilt_copy: Path, edit_meta: Edit) -> None:
    edit_meta("modality.json", lambda file: file["action"].pop("right_hand"))
    error = _error(spoilt_copy)
    assert error.problem == "action key 'right_hand' is not in this dataset."
    assert "missing: right_hand" in error.details
    assert error.details[-1].startswith("no data config fits this dataset")


def test_slices_dimensions_and_rotations(spoilt_copy: Path, edit_meta: Edit) -> None:
    def spoil(file: Any) -> None:
        file["state"]["left_arm"] = {"start": 40, "end": 47}
        file["action"]["left_arm"] = {"start": 0, "end": 20}
        file["state"]["left_hand"] = {"start": 0, "end": 6, "original_key": "observation.hand"}

    edit_meta("modality.json", spoil)
    text = str(_error(spoilt_copy))
    assert "state key 'left_arm' is 40:47 of observation.state, which has 44 numbers" in text
    assert "state key 'left_hand' is a slice of column observation.hand, which meta/info" in text
    assert "action has 39 numbers after the transforms" in text
    assert "at most 32" in text


def test_a_rotation_needs_its_representation(spoilt_copy: Path, edit_meta: Edit) -> None:
    def spoil(file: Any) -> None:
        file["state"]["eef_position"] = {"start": 0, "end": 3}
        file["state"]["eef_rotation"] = {"start": 3, "end": 6}
        file["state"]["gripper_position"] = {"start": 6, "end": 7, "dtype": "int64"}
        file["action"]["eef_position_delta"] = {"start": 0, "end": 3}
        file["action"]["eef_rotation_delta"] = {
            "start": 3,
            "end": 6,
            "rotation_type": "euler_angles_rpy",
            "absolute": False,
        }
        file["action"]["gripper_position"] = {"start": 6, "end": 7}
        file["annotation"]["language.language_instruction"] = {"original_key": "task_index"}
        for camera in data_configs()["oxe_droid"].video:
            file["video"][camera] = {"original_key": "observation.images.ego_view"}

    edit_meta("modality.json", spoil)
    error = _error(spoilt_copy, "oxe_droid", "oxe_droid")
    assert "state key 'eef_rotation' is to become rotation_6d and has no" in error.problem
    assert "state key 'gripper_position' is of type int64, which takes binary" in str(error)

    def mend(file: Any) -> None:
        file["state"]["eef_rotation"]["rotation_type"] = "euler_angles_rpy"
        del file["state"]["gripper_position"]["dtype"]

    edit_meta("modality.json", mend)
    config = _resolve(spoilt_copy, "oxe_droid", "oxe_droid")
    assert (config.state_dim, config.action_dim, config.embodiment_id) == (10, 7, 17)
    assert config.action[1].target_rotation == "axis_angle"


def test_a_camera_that_is_declared_without_files(spoilt_copy: Path, edit_meta: Edit) -> None:
    def spoil(file: Any) -> None:
        file["video"]["ego_view"]["original_key"] = "observation.images.egoview"

    edit_meta("modality.json", spoil)
    problem = _error(spoilt_copy).problem
    assert problem == (
        "camera 'ego_view' (observation.images.egoview) is declared and has no video files."
    )
    edit_meta("modality.json", lambda file: file["video"].update(ego_view={}))
    assert "is feature ego_view in modality.json, which meta/info.json" in str(_error(spoilt_copy))


def test_a_video_of_another_size_than_declared(demo_dataset: Path) -> None:
    camera = Camera(
        original_key="observation.images.ego_view", height=480, width=640, fps=20.0, codec="h264"
    )
    config = resolve_modality_config(
        LeRobotDataset.open(demo_dataset),
        NAME,
        "v1",
        "fourier_gr1_arms_only",
        "gr1",
        measured=(camera,),
    )
    assert (config.video[0].height, config.video[0].width) == (480, 640)
    assert "camera 'ego_view' is 480x640 in its videos and 256x256" in config.warnings[-1]


def test_cameras_of_two_sizes_are_refused(spoilt_copy: Path, edit_meta: Edit) -> None:
    def two_cameras(file: Any) -> None:
        for modality in ("state", "action"):
            file[modality]["single_arm"] = {"start": 0, "end": 5}
            file[modality]["gripper"] = {"start": 5, "end": 6}
        file["annotation"]["human.task_description"] = {"original_key": "task_index"}
        file["video"]["front"] = file["video"]["wrist"] = file["video"]["ego_view"]
        file["video"]["wrist"] = {"original_key": "observation.images.egoview"}

    edit_meta("modality.json", two_cameras)
    videos = spoilt_copy / "videos" / "chunk-000"
    (videos / "observation.images.egoview").symlink_to(videos / "observation.images.ego_view")
    assert _error(spoilt_copy, "so100_dualcam").problem == (
        "the cameras differ in height x width: front 256x256, wrist 800x1280; "
        "GR00T crops them as one stack."
    )


def test_a_language_column_that_is_not_there(spoilt_copy: Path, edit_meta: Edit) -> None:
    key = "human.action.task_description"
    edit_meta(
        "modality.json", lambda file: file["annotation"].update({key: {"original_key": "words"}})
    )
    assert "is column words, which meta/info.json does not have" in _error(spoilt_copy).problem


def test_a_task_index_that_no_task_has(spoilt_copy: Path) -> None:
    tasks = spoilt_copy / "meta" / "tasks.jsonl"
    lines = tasks.read_text().splitlines()
    tasks.write_text("\n".join(lines[1:]) + "\n")
    assert " in annotation.human.action.task_description, first in episode " in str(
        _error(spoilt_copy)
    )


def test_statistics_are_computed_where_the_file_lacks_them(
    spoilt_copy: Path, demo_dataset: Path
) -> None:
    stored = _resolve(demo_dataset)
    (spoilt_copy / "meta" / "stats.json").unlink()
    config = _resolve(spoilt_copy)
    for old, new in zip(stored.action, config.action, strict=True):
        np.testing.assert_allclose(new.statistics.max, old.statistics.max, atol=1e-5)
        np.testing.assert_allclose(new.statistics.std, old.statistics.std, atol=1e-4)
        np.testing.assert_allclose(new.statistics.q99, old.statistics.q99, atol=1e-3)
    assert not (spoilt_copy / "meta" / "stats.json").exists()
    assert not any("statistics" in warning for warning in config.warnings)
    stats = json.loads((demo_dataset / "meta" / "stats.json").read_text())
    del stats["action"]["q99"]
    (spoilt_copy / "meta" / "stats.json").write_text(json.dumps(stats))
    warnings = _resolve(spoilt_copy).warnings
    assert any("statistics of action were computed" in warning for warning in warnings)


def test_statistics_that_cannot_be_used(spoilt_copy: Path, edit_meta: Edit) -> None:
    edit_meta("stats.json", lambda file: file["action"].update(max=[1.0] * 30))
    text = str(_error(spoilt_copy))
    assert "action key 'right_hand': max of action in meta/stats.json has 30 numbers" in text
    edit_meta("stats.json", lambda file: file["action"].update(max=[float("nan")] * 44))
    assert "action key 'left_arm': max of action[0:7] is not finite" in str(_error(spoilt_copy))


def test_rows_with_nan_are_refused(spoilt_copy: Path) -> None:
    path = spoilt_copy / "data" / "chunk-000" / "episode_000003.parquet"
    table = pq.read_table(path)
    rows = table["action"].to_pylist()
    rows[7][23] = float("nan")
    column = pa.array(rows, table["action"].type)
    path.unlink()
    pq.write_table(table.set_column(table.column_names.index("action"), "action", column), path)
    error = _error(spoilt_copy)
    assert error.problem == "rows of action hold NaN or infinity."
    assert error.details == (
        "action key 'right_arm': action[22:29] holds NaN or infinity in the rows",
    )


def test_stale_statistics_and_overlaps_are_warnings(spoilt_copy: Path, edit_meta: Edit) -> None:
    edit_meta("stats.json", lambda file: file["action"]["max"].__setitem__(22, -1.0))
    edit_meta("modality.json", lambda file: file["action"]["left_arm"].update(start=1, end=8))
    warnings = " | ".join(_resolve(spoilt_copy).warnings)
    assert "action: 'right_arm' leaves the range that meta/stats.json gives in 1 of" in warnings
    assert "action keys 'left_arm' (1:8) and 'left_hand' (7:13) overlap" in warnings


def test_a_wrong_modality_file_is_reported_with_unknown_names(
    spoilt_copy: Path, edit_meta: Edit
) -> None:
    edit_meta("modality.json", lambda file: file["state"]["waist"].update(end="x"))
    error = _error(spoilt_copy, "so101", "gr2")
    assert error.problem == "one field is wrong in meta/modality.json."
    assert "state.waist.end" in error.details[0]
    assert "so101" in error.details[1]
    assert "gr2" in error.details[2]
