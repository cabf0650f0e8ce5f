"""GPU memory that a person wrote into a note."""

import re

_UNITS = {"gb": 1e9, "gib": 2**30, "mb": 1e6, "mib": 2**20}
_MEMORY = re.compile(
    r"(\d+(?:\.\d+)?)\s*(GB|GiB|MB|MiB)(?=\s*(?:of\s+)?(?:VRAM|GPU\s+memory|memory))", re.IGNORECASE
)


def noted_memory(note: str) -> int | None:
    """Bytes of GPU memory that a note gives; None where it gives none.

    Example:
        >>> noted_memory("on GPU 0 using 25.1 GB of VRAM")
        25100000000
        >>> noted_memory("dataset of 6 GB") is None
        True
    """
    found = _MEMORY.search(note)
    return round(float(found[1]) * _UNITS[found[2].lower()]) if found else None
