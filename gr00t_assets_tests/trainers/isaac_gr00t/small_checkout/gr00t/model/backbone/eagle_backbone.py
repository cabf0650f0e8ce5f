"""Where the towers are described."""

from pathlib import Path

DEFAULT_EAGLE_PATH = str(Path(__file__).parent / "eagle2_hg_model")
