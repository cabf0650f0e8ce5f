"""The folder ``model`` of a finished run: what every trainer puts beside its final weights.

``modality_config.json`` says what a policy has to know of the data;
``experiment_cfg/metadata.json`` is what Isaac-GR00T's policy reads there.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import published_directory, write_json
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.runs.run_directory import MODALITY_CONFIG, MODEL
from gr00t_assets.runs.spec import TrainingSpec


@contextmanager
def published_model(spec: TrainingSpec) -> Iterator[Path]:
    """A folder to write final weights to, which becomes the run's ``model`` with the block.

    Raises:
        StoreError: The disk is full.
    """
    with published_directory(spec.run_directory / MODEL) as partial:
        yield partial
        (partial / "experiment_cfg").mkdir()
        metadata = isaac_metadata(spec.modality_config)
        write_json(partial / "experiment_cfg" / "metadata.json", metadata)
        write_json(partial / MODALITY_CONFIG, spec.modality_config.model_dump(mode="json"))


def read_modality_config(model_directory: Path) -> ModalityConfig:
    """The modality config that a model was trained with.

    Raises:
        CheckpointError: There is none beside the weights.
    """
    path = model_directory / MODALITY_CONFIG
    try:
        return ModalityConfig.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        problem = "there is no modality config beside these weights."
        raise CheckpointError(str(model_directory), problem, [str(error)]) from error


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
