"""A dataset's metadata."""

from pydantic import BaseModel


class DatasetStatisticalValues(BaseModel):
    """Statistics of one key."""

    max: list[float]
    min: list[float]
    mean: list[float]
    std: list[float]
    q01: list[float]
    q99: list[float]


class StateActionMetadata(BaseModel):
    """What one key holds."""

    absolute: bool = True
    rotation_type: str | None = None
    shape: list[int]
    continuous: bool = True


class VideoMetadata(BaseModel):
    """What one camera gives."""

    resolution: tuple[int, int]
    channels: int
    fps: float


class Statistics(BaseModel):
    """Of every key."""

    state: dict[str, DatasetStatisticalValues]
    action: dict[str, DatasetStatisticalValues]


class Modalities(BaseModel):
    """Every key."""

    video: dict[str, VideoMetadata]
    state: dict[str, StateActionMetadata]
    action: dict[str, StateActionMetadata]


class DatasetMetadata(BaseModel):
    """All of it."""

    statistics: Statistics
    modalities: Modalities
    embodiment_tag: str


class Slice(BaseModel):
    """A named slice of a column, as ``modality.json`` has it."""

    start: int
    end: int
    original_key: str | None = None
    absolute: bool = True
    rotation_type: str | None = None


class StateSlice(Slice):
    """A slice of the state."""

    original_key: str | None = "observation.state"


class ActionSlice(Slice):
    """A slice of the action."""

    original_key: str | None = "action"


class Field(BaseModel):
    """A camera or a text."""

    original_key: str | None = None


class LeRobotModalityMetadata(BaseModel):
    """``modality.json``."""

    state: dict[str, StateSlice]
    action: dict[str, ActionSlice]
    video: dict[str, Field]
    annotation: dict[str, Field] | None = None
