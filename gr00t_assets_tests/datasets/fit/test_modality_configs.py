import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.fit.fit_check import fitting_data_configs, known_cameras
from gr00t_assets.datasets.fit.modality_configs import resolve_modality_config
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.features import Camera
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.data_config import data_configs
from gr00t_assets.modality.modality_json import parse_modality
from gr00t_assets_tests.parity_cut import N17_CUT

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
    dataset = LeRobotDataset.open(demo_dataset)
    modality = parse_modality(dataset.modality, dataset.name)
    fitting = fitting_data_configs(modality, known_cameras(dataset.info, dataset.cameras))
    assert fitting == ["fourier_gr1_arms_only"]


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


def test_a_config_that_does_not_fit_lists_all_that_is_missing(demo_dataset: Path) -> None:
    error = _error(demo_dataset, "so100_dualcam")
    assert error.problem == "it does not fit the data config so100_dualcam."
    parts = "left_arm, left_hand, left_leg, neck, right_arm, right_hand, right_leg, waist"
    annotations = "annotation.human.action.task_description, annotation.human.validity"
    expected = [
        ("camera 'front'", "ego_view", "video keys: front, wrist"),
        ("state key 'single_arm'", parts, "state keys: single_arm, gripper"),
        ("action key 'single_arm'", parts, "action keys: single_arm, gripper"),
        (
            "language key 'annotation.human.task_description'",
            annotations,
            "language keys: annotation.human.task_description",
        ),
    ]
    assert error.details == tuple(
        f"meta/modality.json: {key} is not in this dataset; the dataset has: {has}; expected data "
        f"config so100_dualcam needs {needs}; name the part in meta/modality.json as the data "
        "config does"
        for key, has, needs in expected
    )


def test_a_camera_that_is_named_as_the_config_names_it_is_found(
    spoilt_copy: Path, edit_meta: Edit
) -> None:
    def as_so100(file: Any) -> None:
        for modality in ("state", "action"):
            file[modality]["single_arm"] = {"start": 0, "end": 5}
            file[modality]["gripper"] = {"start": 5, "end": 6}
        file["annotation"]["human.task_description"] = {"original_key": "task_index"}

    edit_meta("modality.json", as_so100)
    (line,) = _error(spoilt_copy, "so100_dualcam").details
    assert "camera 'front' is not in this dataset; the dataset has: ego_view" in line
    edit_meta("modality.json", lambda file: file["video"].update(webcam=file["video"]["ego_view"]))
    config = _resolve(spoilt_copy, "so100", "new_embodiment")
    assert (config.language, config.state_dim, config.embodiment_id) == ("task_index", 6, 31)


def test_unknown_names(demo_dataset: Path) -> None:
    text = str(_error(demo_dataset, "so101", "gr2"))
    assert "there is no data config 'so101'" in text and "did you mean 'so100'?" in text
    assert "embodiment tag 'gr2' is not one of N1.5's; expected one of gr1, oxe_droid" in text
    assert "a robot that the base model has not seen takes new_embodiment" in text


def test_part_of_the_keys_missing_is_told_apart(spoilt_copy: Path, edit_meta: Edit) -> None:
    edit_meta("modality.json", lambda file: file["action"].pop("right_hand"))
    (line,) = _error(spoilt_copy).details
    assert "action key 'right_hand' is not in this dataset" in line
    assert "; missing: right_hand; " in line


def test_more_numbers_than_the_model_takes(spoilt_copy: Path, edit_meta: Edit) -> None:
    edit_meta("modality.json", lambda file: file["action"]["left_arm"].update(start=0, end=20))
    text = str(_error(spoilt_copy))
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
    rotation, gripper = _error(spoilt_copy, "oxe_droid", "oxe_droid").details
    assert "state key 'eef_rotation' is to become rotation_6d and has no" in rotation
    assert "state key 'gripper_position' is of type int64, which takes binary" in gripper
    assert gripper.endswith("take dtype of the key out of meta/modality.json")

    def mend(file: Any) -> None:
        file["state"]["eef_rotation"]["rotation_type"] = "euler_angles_rpy"
        del file["state"]["gripper_position"]["dtype"]

    edit_meta("modality.json", mend)
    config = _resolve(spoilt_copy, "oxe_droid", "oxe_droid")
    assert (config.state_dim, config.action_dim, config.embodiment_id) == (10, 7, 17)
    assert config.action[1].target_rotation == "axis_angle"


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
    (line,) = _error(spoilt_copy, "so100_dualcam").details
    assert "the cameras differ in height x width: front 256x256, wrist 800x1280" in line
    assert "GR00T crops all cameras as one stack" in line


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


def test_statistics_that_cannot_be_used(spoilt_copy: Path, edit_meta: Edit) -> None:
    edit_meta("stats.json", lambda file: file["action"].update(max=[1.0] * 30))
    text = str(_error(spoilt_copy))
    assert "max of action in meta/stats.json has 30 numbers, not 35 or more" in text
    edit_meta("stats.json", lambda file: file["action"].update(max=[float("nan")] * 44))
    assert "max of action[0:7] is not finite" in str(_error(spoilt_copy))


def _rounding(statistic: str) -> float:
    """Of float32: of the places between rows, and of sums, which depend on their order."""
    return 1e-5 if statistic in ("mean", "std") else 2e-6


N17_KEYS = ("left_arm", "right_arm", "left_hand", "right_hand")


def test_n17_has_the_statistics_of_nvidias_own_code_whatever_the_file_says(
    spoilt_copy: Path, edit_meta: Edit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its columns, and of relative actions at each step ahead."""
    state = {key: {"normalization": "percentiles"} for key in N17_KEYS}
    arm = {"rep": "relative", "normalization": "min_max"}
    content = {
        "generation": "n1.7",
        "video": ["ego_view"],
        "language": "annotation.human.action.task_description",
        "state": state,
        "action": {key: arm if "arm" in key else state[key] for key in N17_KEYS},
    }
    (tmp_path / "data" / "data_configs").mkdir(parents=True)
    (tmp_path / "data" / "data_configs" / "arms_n17.yaml").write_text(json.dumps(content))
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    edit_meta("stats.json", lambda file: file["action"].update(q01=[-9.0] * 44, q99=[9.0] * 44))
    config = _resolve(spoilt_copy, "arms_n17", "new_embodiment")
    nvidias = json.loads((N17_CUT.parent / "data" / "statistics.json").read_text())
    for part in ("state", "action"):
        for key in getattr(config, part):
            for name, values in key.statistics.model_dump().items():
                wanted = nvidias[part][key.key][name]
                np.testing.assert_allclose(values, wanted, rtol=0, atol=_rounding(name))
    relative = {key.key: key.chunk_statistics for key in config.action if key.is_relative}
    assert relative.keys() == nvidias["relative_action"].keys()
    for name, chunk in relative.items():
        assert chunk is not None
        for which, values in chunk.model_dump().items():
            wanted = nvidias["relative_action"][name][which]
            np.testing.assert_allclose(values, wanted, rtol=0, atol=_rounding(which))
