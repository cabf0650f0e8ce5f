"""A catalogue entry of a drawn dataset that is made and trained on in a second."""

from typing import Any


def small_dataset(episodes: int, **fields: Any) -> dict[str, Any]:
    """The entry of ``data/datasets.yaml``; ``fields`` are further ones of it."""
    source = {"kind": "synthetic", "episodes": episodes, "min_frames": 40, "max_frames": 44}
    return {
        "description": "Short drawn episodes",
        "source": {**source, "width": 64, "height": 64},
        "data_config": "fourier_gr1_arms_only",
        "embodiment_tag": "gr1",
        **fields,
    }
