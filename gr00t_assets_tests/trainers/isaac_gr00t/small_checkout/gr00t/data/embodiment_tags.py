"""Names of embodiments and their rows in the model."""

from enum import Enum


class EmbodimentTag(Enum):
    """What the data was recorded with."""

    GR1 = "gr1"
    NEW_EMBODIMENT = "new_embodiment"


EMBODIMENT_TAG_MAPPING = {"gr1": 24, "new_embodiment": 31}
