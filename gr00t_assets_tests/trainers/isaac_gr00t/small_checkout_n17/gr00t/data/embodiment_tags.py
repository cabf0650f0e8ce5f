"""Tags."""

from enum import Enum


class EmbodimentTag(Enum):
    """Of robots."""

    NEW_EMBODIMENT = "new_embodiment"
    LIBERO_PANDA = "libero_sim"
