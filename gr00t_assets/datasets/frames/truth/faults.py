"""Faults of Isaac-GR00T's video backends that are known, by the commit that trains."""

import subprocess
from pathlib import Path
from typing import Literal

Revision = Literal["faulty", "mended", "unknown"]
FAULTY: Revision = "faulty"
MENDED: Revision = "mended"
UNKNOWN: Revision = "unknown"

MEND = "cdf6d6e3c48a9c033e2b188c8c3ff4cccc5ad04e"
"""Commit of 2025-09-18 that mended ``torchvision_av``."""

_KNOWN: dict[str, Revision] = {
    "a5c67191806ddc54c89dd4fb86353456c78ee952": FAULTY,  # 2025-03-18, N1
    "5e3ef5ef9a89b647f11490d749b0049ae2796b94": FAULTY,  # 2025-06-11, N1.5
    "229aba376ca4b94183f760bd5d50e9e5c7a17cf8": FAULTY,  # 2025-07-10, another fault mended
    MEND: MENDED,
    "2196232d254b36125da0ea9bf25d9821d46b2a61": MENDED,  # 2025-09-24
    "a86e9159a7e6acf771479007a79d4aeaa408c4c0": MENDED,  # 2025-10, the last of N1.5
}
_SHORTEST = 7
_FILE = "gr00t/utils/video.py"
_FAULT = "if len(loaded_frames) >= len(timestamps):"
"""The line that ends the loop before the asked time is reached."""


def known_revision(isaac_commit: str | None, checkout: Path | None = None) -> Revision:
    """Whether a commit of Isaac-GR00T has the fault of ``torchvision_av``.

    Args:
        isaac_commit: Full or abbreviated hash of 7 digits or more.
        checkout: A clone that has the commit, shallow or whole: its source decides, also for a
            commit of one's own.
    """
    if isaac_commit is None:
        return UNKNOWN
    if checkout is not None:
        source = _source(checkout, isaac_commit)
        if source is not None:
            return FAULTY if _FAULT in source else MENDED
    if len(isaac_commit) >= _SHORTEST:
        for commit, revision in _KNOWN.items():
            if commit.startswith(isaac_commit.lower()):
                return revision
    return UNKNOWN


def known_backend_fault(
    backend: str, isaac_commit: str | None, checkout: Path | None = None
) -> str | None:
    """What is known to be wrong with a backend at a commit of Isaac-GR00T, or None.

    Args:
        backend: ``frame_cache``, ``decord``, ``torchcodec`` or ``torchvision_av``.
        isaac_commit: Commit that trains; None where it is not known.
        checkout: A clone that has the commit.

    Example:
        >>> known_backend_fault("torchvision_av", "a86e915") is None
        True
        >>> known_backend_fault("torchvision_av", "5e3ef5e")[:44]
        'torchvision_av returns the key frame before '
    """
    if backend != "torchvision_av":
        return None
    revision = known_revision(isaac_commit, checkout)
    if revision == MENDED:
        return None
    fault = (
        "torchvision_av returns the key frame before the asked time in Isaac-GR00T before "
        f"{MEND[:7]} (2025-09-18)"
    )
    if revision == FAULTY:
        return f"{fault}; this commit is {str(isaac_commit)[:7]}"
    return f"{fault}; commit {str(isaac_commit or 'not given')[:12]} could not be placed"


def _source(checkout: Path, commit: str) -> str | None:
    command = ["git", "-C", str(checkout), "show", f"{commit}:{_FILE}"]
    if commit.startswith("-"):
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
