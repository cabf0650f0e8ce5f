"""``experiment_cfg/metadata.json``: what Isaac-GR00T's policy reads beside the weights."""

from typing import Any

from gr00t_assets.modality.config import ModalityConfig, VectorKey


def isaac_metadata(config: ModalityConfig) -> dict[str, Any]:
    """The dataset's metadata by embodiment tag, as ``Gr00tPolicy`` loads it.

    Layout: ``DatasetMetadata`` in Isaac-GR00T's ``gr00t/data/schema.py``. Statistics are those of
    the raw columns, in the data's units; resolutions are ``[width, height]``.
    """
    return {
        config.embodiment_tag: {
            "statistics": {
                "state": {key.key: key.statistics.model_dump(mode="json") for key in config.state},
                "action": {
                    key.key: key.statistics.model_dump(mode="json") for key in config.action
                },
            },
            "modalities": {
                "video": {
                    camera.key: {
                        "resolution": [camera.width, camera.height],
                        "channels": 3,
                        "fps": camera.fps,
                    }
                    for camera in config.video
                },
                "state": {key.key: _vector(key) for key in config.state},
                "action": {key.key: _vector(key) for key in config.action},
            },
            "embodiment_tag": config.embodiment_tag,
        }
    }


def _vector(key: VectorKey) -> dict[str, Any]:
    return {
        "absolute": key.absolute,
        "rotation_type": key.rotation_type,
        "shape": [key.end - key.start],
        "continuous": True,
    }
