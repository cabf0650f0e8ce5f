"""Types that a modality config is written with."""

from dataclasses import dataclass
from enum import Enum


class MessageType(Enum):
    """Of what the processor is given."""

    EPISODE_STEP = "episode_step"


ActionRepresentation = Enum("ActionRepresentation", "RELATIVE DELTA ABSOLUTE")
ActionType = Enum("ActionType", "EEF NON_EEF")
ActionFormat = Enum("ActionFormat", "DEFAULT XYZ_ROT6D XYZ_ROTVEC")


@dataclass
class ActionConfig:
    """What is done to an action."""

    rep: ActionRepresentation
    type: ActionType
    format: ActionFormat
    state_key: str | None = None


@dataclass
class ModalityConfig:
    """Keys and rows of a modality."""

    delta_indices: list
    modality_keys: list
    sin_cos_embedding_keys: list | None = None
    mean_std_embedding_keys: list | None = None
    action_configs: list | None = None


@dataclass
class VLAStepData:
    """One row."""

    images: dict
    states: dict
    actions: dict
    text: str
