"""Datasets that are declared and have no files, and what is drafted for them."""

from pathlib import Path
from typing import Any

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.adding.config_choice import ConfigChoice, choose_data_config
from gr00t_assets.datasets.adding.modality_draft import ModalityDraft, modality_draft
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import Episode
from gr00t_assets.datasets.lerobot.features import parse_features
from gr00t_assets.datasets.lerobot.folder import FAULTS
from gr00t_assets.datasets.lerobot.info import Info
from gr00t_assets.modality.modality_json import parse_modality


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
    draft = modality_draft(dataset_of(features, robot))
    parse_modality(draft.content, "mine")
    return draft


def chosen(features: dict[str, Any], robot: str = "", asked: str | None = None) -> ConfigChoice:
    dataset = dataset_of(features, robot)
    return choose_data_config(dataset, modality_draft(dataset), asked)
