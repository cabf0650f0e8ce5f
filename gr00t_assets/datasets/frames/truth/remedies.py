"""What to do about a video backend that does not give the right frames."""

from pathlib import Path

from gr00t_assets.datasets.frames.truth.faults import MEND, known_backend_fault
from gr00t_assets.datasets.frames.truth.result import Verdict

_NATIVE = "the trainer native reads the frame cache and is not affected"


def remedy(
    verdict: Verdict, backend: str, isaac_commit: str | None = None, checkout: Path | None = None
) -> str:
    """One line that says what to do.

    Args:
        verdict: What the check found, other than ``exact``.
        backend: The video backend.
        isaac_commit: Commit of Isaac-GR00T that trains.
        checkout: Clone of Isaac-GR00T that has the commit.
    """
    if backend == "frame_cache":
        if verdict == "unchecked":
            return "materialise frame_cache"
        return "delete the dataset's frame cache and materialise frame_cache again"
    if verdict == "unchecked":
        return f"install {backend} here to have it checked; {_NATIVE}"
    if verdict == "unreadable":
        other = "torchcodec" if backend == "decord" else "decord"
        return f"set video_backend: {other} in the sweep, or encode the videos as H.264; {_NATIVE}"
    if known_backend_fault(backend, isaac_commit, checkout):
        return (
            "set video_backend: decord in the sweep, or train with a commit of Isaac-GR00T that "
            f"has {MEND[:7]} (2025-09-18); {_NATIVE}"
        )
    if verdict == "shifted" and backend in ("torchcodec", "torchvision_av"):
        return (
            f"set video_backend: decord in the sweep, which takes the nearest frame: {backend} "
            f"takes the last one that is not after the timestamp; {_NATIVE}"
        )
    other = "torchcodec" if backend == "decord" else "decord"
    return f"set video_backend: {other} in the sweep; {_NATIVE}"
