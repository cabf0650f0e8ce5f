"""Where the towers are described."""

from .eagle_backbone import DEFAULT_EAGLE_PATH  # noqa: F401
