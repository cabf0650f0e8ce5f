"""What a check of a video backend found: figures by camera, a verdict, what to do."""

from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.project import materialize_command

Verdict = Literal["exact", "shifted", "wrong", "unreadable", "unchecked"]
"""``exact``: every frame is the nearest to its timestamp. ``shifted``: wrong ones are its
neighbours. ``wrong``: some are further away or no frame of the episode. ``unreadable``: the backend
failed. ``unchecked``: the backend is not installed here."""

_WORST_FIRST: tuple[Verdict, ...] = ("unchecked", "unreadable", "wrong", "shifted", "exact")


class CameraCheckResult(FrozenModel):
    """The check of one camera."""

    camera: str = Field(description="Feature: observation.images.ego_view")
    rows: int = Field(default=0, description="Rows whose frame was decoded and compared")
    wrong_by_timestamp: int = Field(
        default=0, description="Rows that did not get the frame nearest to their timestamp"
    )
    wrong_by_index: int = Field(
        default=0, description="Rows that did not get the frame of their own number"
    )
    unidentified: int = Field(default=0, description="Rows whose frame is none of the episode's")
    mean_lateness: float = Field(
        default=0.0, description="Mean distance in frames from the right one, over the wrong rows"
    )
    max_lateness: int = Field(default=0, description="Largest distance in frames")
    moved_rows: int = Field(
        default=0, description="Rows whose timestamp is that of another frame than their own"
    )
    move: int = Field(default=0, description="Commonest of these distances, in frames")
    verdict: Verdict
    problem: str | None = Field(default=None, description="Why it could not be read or checked")
    in_rows: bool = Field(
        default=False, description="Its images are in the rows, where no video backend reads"
    )


class FrameCheckResult(FrozenModel):
    """The check of the video backend that a trainer uses."""

    dataset: str
    backend: str = Field(description="frame_cache, decord, torchcodec or torchvision_av")
    isaac_commit: str | None = Field(default=None, description="Of Isaac-GR00T, where it trains")
    episodes: int = Field(description="Episodes that were looked at")
    all_rows: bool = Field(description="Every row of the dataset, not a sample")
    cameras: tuple[CameraCheckResult, ...]
    remedy: str | None = Field(default=None, description="What to do unless it is exact")

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the cameras."""
        verdicts: list[Verdict] = [camera.verdict for camera in self.cameras] or ["unchecked"]
        return min(verdicts, key=_WORST_FIRST.index)

    @property
    def verified(self) -> bool:
        """Whether a model that trains with this backend is known to see the right frames."""
        return self.verdict == "exact"

    @property
    def rows(self) -> int:
        """Rows compared, over all cameras."""
        return sum(camera.rows for camera in self.cameras)

    def sentence(self) -> str:
        """The verdict with its figures, for a log or a page."""
        commit = f" at {self.isaac_commit[:7]}" if self.isaac_commit else ""
        subject = f"video backend {self.backend}{commit}"
        if self.verdict in ("unreadable", "unchecked"):
            worst = next(c for c in (*self.cameras, None) if c is None or c.problem)
            reason = f": {worst.camera}: {worst.problem}" if worst else ": it has no cameras"
            return f"{subject} is {self.verdict}{reason}"
        if self.verified:
            sample = "" if self.all_rows else ", a sample"
            images = [camera.camera for camera in self.cameras if camera.in_rows]
            rows = f"each image of {', '.join(images)} is in its own row"
            if len(images) == len(self.cameras):
                return f"{rows}, which no video backend reads; {self.rows} rows decoded{sample}"
            more = f"; {rows}" if images else ""
            return f"{subject} is exact on {self.rows} rows{sample}{more}"
        wrong = sum(camera.wrong_by_timestamp for camera in self.cameras)
        unidentified = sum(camera.unidentified for camera in self.cameras)
        distances = sum(
            (camera.wrong_by_timestamp - camera.unidentified) * camera.mean_lateness
            for camera in self.cameras
        )
        text = (
            f"{subject} gives {wrong} of {self.rows} rows a wrong frame by timestamp "
            f"({sum(camera.wrong_by_index for camera in self.cameras)} by frame index), "
            f"{distances / max(wrong - unidentified, 1):.0f} frames away on average, "
            f"{max(camera.max_lateness for camera in self.cameras)} at most"
        )
        return f"{text}; {unidentified} are no frame of their episode" if unidentified else text

    def warnings(self) -> list[str]:
        """What a person should know: a backend that is not exact, timestamps that are moved."""
        wrong = [] if self.verified else [f"{self.sentence()}; {self.remedy}"]
        moved = [
            f"{camera.camera}: timestamps of {camera.moved_rows} of {camera.rows} rows are those "
            f"of another frame, mostly row i has the time of frame i{camera.move:+d}; frames are "
            "looked up by time, so the model sees that one"
            for camera in self.cameras
            if camera.moved_rows
        ]
        return [*wrong, *moved]


def save_frame_check(result: FrameCheckResult, path: Path) -> None:
    """Write the result of a check in one step."""
    write_json(path, sealed(result.model_dump(mode="json")))


def load_frame_check(path: Path) -> FrameCheckResult | None:
    """The result of a check; None where there is none, DatasetError where the file is not one."""
    if not path.is_file():
        return None
    command = f"run: {materialize_command('frame_cache', path.parent.name)}"
    refuse = partial(DatasetError, str(path), "this is not the result of a frame check.")
    return load_sealed(path, FrameCheckResult, lambda why: refuse([why, command]))


def frames_verified(path: Path) -> bool:
    """Whether a check is kept there that found the right frames; raises as the above."""
    return (result := load_frame_check(path)) is not None and result.verified
