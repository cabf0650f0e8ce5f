"""Data configs that a good dataset does not fit, the project's own ones as ``mine``."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from gr00t_assets.modality.data_config import BUILT_IN
from gr00t_assets_tests.datasets.checks.edits import CAMERA, frame_count, video_file, write_video
from gr00t_assets_tests.datasets.checks.meta_faults import (
    MODALITY,
    Fault,
    Make,
    feature,
    info,
    modality,
)

MINE = "data/data_configs/mine.yaml"
WRIST = "observation.images.wrist"
HAND = "left_hand"
"""A key of 6 numbers."""

ROTATION = modality("action", HAND, rotation_type="rotation_6d")
TURNED = {"rotation_type": None, "target_rotation": "axis_angle"}


def edit_mine(directory: Path, part: str, key: str, **fields: Any) -> None:
    """Set fields of a key in the project's own data config, and remove those that are None."""
    file = directory.parent / MINE
    if not file.exists():
        file.parent.mkdir(parents=True)
        shutil.copyfile(BUILT_IN / "fourier_gr1_arms_only.yaml", file)
    content = yaml.safe_load(file.read_text())
    transforms = (content[part].get(key) or {}) | fields
    content[part][key] = {name: value for name, value in transforms.items() if value is not None}
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def mine(**fields: Any) -> Make:
    return lambda directory: edit_mine(directory, "action", HAND, **fields)


def both(*makes: Make) -> Make:
    return lambda directory: [make(directory) for make in makes]


def write_wrist(directory: Path, height: int) -> None:
    """A second camera of 96 pixels in width."""
    for index in range(3):
        path = directory / video_file(index, WRIST)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, frame_count(directory / video_file(index, CAMERA)), size=(height, 96))
    feature(WRIST, dtype="video", shape=[height, 96, 3], names=["height", "width", "channels"])(
        directory
    )


def _second_camera(directory: Path) -> None:
    write_wrist(directory, 64)
    info(total_videos=6)(directory)
    modality("video", "wrist", original_key=WRIST)(directory)
    mine()(directory)
    file = directory.parent / MINE
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(content | {"video": ["ego_view", "wrist"]}, sort_keys=False))


def fault(code: str, make: Make, remedy: str, config: str = "mine") -> Fault:
    return Fault(code, MODALITY, make, remedy, config=config)


CONFIG_FAULTS = {
    "keys of another robot": fault(
        "config-key", lambda _: None, "that fits: fourier_gr1_arms_only", "so100_dualcam"
    ),
    "cameras of two sizes": fault("config-camera-sizes", _second_camera, "in one size"),
    "two rotations": fault(
        "config-transform",
        both(ROTATION, mine(rotation_type="quaternion")),
        f"take rotation_type of the key out of {MINE}",
    ),
    "rotation of another size": fault(
        "config-transform",
        mine(rotation_type="quaternion"),
        f"correct rotation_type of the key in {MINE}",
    ),
    "rotation of no kind": fault(
        "config-transform", mine(**TURNED), f"add rotation_type to the key in {MODALITY}"
    ),
    "rotation that is a difference": fault(
        "config-transform",
        both(ROTATION, modality("action", HAND, absolute=False), mine(**TURNED)),
        f"take target_rotation of the key out of {MINE}",
    ),
    "rotation in deviations": fault(
        "config-transform",
        both(ROTATION, mine(**TURNED, normalization="mean_std")),
        f"set normalization of the key to min_max in {MINE}",
    ),
    "whole numbers": fault(
        "config-transform",
        both(modality("action", HAND, dtype="int64"), mine()),
        f"set normalization of the key to binary in {MINE}",
    ),
    "whole numbers for a built-in data config": fault(
        "config-transform",
        modality("action", HAND, dtype="int64"),
        f"take dtype of the key out of {MODALITY}",
        "fourier_gr1_arms_only",
    ),
    "pose of another size": fault(
        "config-relative",
        mine(type="eef", format="xyz_rot6d"),
        f"state_key of the key out of {MINE}",
    ),
    "relative already": fault(
        "config-relative",
        both(modality("action", HAND, absolute=False), mine(rep="relative", state_key=HAND)),
        f"state_key of the key out of {MINE}",
    ),
}
