"""What identifies a modality config, and the files of before that are still read."""

import json
from pathlib import Path

from gr00t_assets.core.project import Store
from gr00t_assets.modality.config import ModalityConfig, VectorKey, load_modality_config

STATISTICS = {
    "min": [-1.0],
    "max": [2.0],
    "mean": [0.5],
    "std": [0.25],
    "q01": [-0.9],
    "q99": [1.9],
}
KEY = {"key": "arm", "original_key": "action", "start": 0, "end": 1, "statistics": STATISTICS}
EARLIER = {
    "dataset": "drawn",
    "dataset_version": "0123456789abcdef",
    "data_config": "so100",
    "embodiment_tag": "new_embodiment",
    "embodiment_id": 31,
    "video": [{"key": "webcam", "original_key": "images", "height": 48, "width": 64, "fps": 20}],
    "state": [KEY | {"normalization": "min_max"}],
    "action": [KEY],
    "language": None,
    "observation_indices": [0],
    "action_indices": [0, 1],
    "state_dim": 1,
    "action_dim": 1,
    "max_state_dim": 64,
    "max_action_dim": 32,
    "warnings": ["timestamps of episode 0 start at 0.05 s"],
    "frames": [
        {
            "dataset": "drawn",
            "backend": "decord",
            "episodes": 1,
            "all_rows": False,
            "cameras": [{"camera": "images", "rows": 8, "verdict": "exact"}],
        }
    ],
}
"""A file as it was written before color_jitter was a field of it."""

HASH = "698313fe1ff91038"


class LaterKey(VectorKey):
    scale: float = 1.0


class LaterConfig(ModalityConfig):
    """A modality config with a new field that has a default, in it and in its keys."""

    action: tuple[LaterKey, ...]
    padding: str = "repeat"


def test_the_hash_of_an_earlier_file_stays() -> None:
    config = ModalityConfig.model_validate(EARLIER)
    assert config.content_hash() == HASH
    changed = {
        "held_out_episodes": (1,),
        "frame_size": (48, 40),
        "crop_scale": 0.9,
        "action_dim": 2,
    }
    hashes = {
        config.model_copy(update={name: value}).content_hash() for name, value in changed.items()
    }
    assert len({HASH, *hashes}) == 5
    ignored = config.model_copy(update={"warnings": (), "frames": (), "dataset": "other"})
    assert ignored.content_hash() == HASH


def test_a_new_field_with_a_default_changes_no_hash() -> None:
    later = LaterConfig.model_validate(EARLIER)
    assert later.content_hash() == HASH
    assert later.model_copy(update={"padding": "zero"}).content_hash() != HASH
    key = later.action[0].model_copy(update={"scale": 2.0})
    assert later.model_copy(update={"action": (key,)}).content_hash() != HASH


def test_an_earlier_file_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.modality_config("drawn")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(EARLIER))
    config = load_modality_config("drawn", store)
    assert config.color_jitter.hue == 0.08
    assert config.frames[0].verified
