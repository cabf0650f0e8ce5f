"""A picture of a dataset: some frames of its first episodes, each camera in a row of its own."""

import io
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.datasets.frames import VideoError, decode
from gr00t_assets.datasets.lerobot import Episode, LeRobotDataset
from gr00t_assets.errors import DatasetError

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH = 900
GAP = 4
CAPTION = 20
MAX_BYTES = 400_000
INK, PAPER = (32, 33, 36), (255, 255, 255)


def contact_sheet(dataset: LeRobotDataset, columns: int = 6, max_episodes: int = 5) -> bytes:
    """Draw frames that are evenly spaced in time, with the episode and its task above each row.

    Args:
        dataset: The dataset.
        columns: Frames in a row.
        max_episodes: Episodes shown, from the first.

    Returns:
        A PNG, 900 pixels wide and under 400 KB.

    Raises:
        DatasetError: There is no camera with files, or a video cannot be decoded or is too
            short.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not dataset.cameras:
        raise DatasetError(dataset.name, "no camera of this dataset has video files.")
    font = ImageFont.load_default(size=13)
    tile = (WIDTH - GAP * (columns + 1)) // columns
    strips = []
    for episode in dataset.episodes[:max_episodes]:
        for camera in dataset.cameras:
            frames = _spaced_frames(dataset, episode, camera, columns)
            height = max(1, round(tile * frames[0].shape[0] / frames[0].shape[1]))
            strip = Image.new("RGB", (WIDTH, CAPTION + height + GAP), PAPER)
            caption = _caption(episode, camera, several=len(dataset.cameras) > 1)
            draw = ImageDraw.Draw(strip)
            while draw.textlength(caption, font) > WIDTH - 2 * GAP:
                caption = caption[:-2].rstrip("…") + "…"
            draw.text((GAP, 2), caption, fill=INK, font=font)
            for number, frame in enumerate(frames):
                small = Image.fromarray(frame).resize((tile, height), Image.Resampling.LANCZOS)
                strip.paste(small, (GAP + number * (tile + GAP), CAPTION))
            strips.append(strip)
    sheet = Image.new("RGB", (WIDTH, sum(strip.height for strip in strips)), PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return _png(sheet)


def _spaced_frames(
    dataset: LeRobotDataset, episode: Episode, camera: str, count: int
) -> list[np.ndarray]:
    """``count`` frames of a video from the first to the last, spaced evenly."""
    path = dataset.video_path(episode.index, camera)
    wanted = np.linspace(0, max(episode.length - 1, 0), count).round().astype(int).tolist()
    shown = path.relative_to(dataset.directory)
    try:
        found = {
            row: frame
            for row, (_, frame) in enumerate(decode(path, set(wanted)))
            if frame is not None
        }
    except VideoError as error:
        raise DatasetError(dataset.name, f"{shown} cannot be decoded.", [str(error)]) from error
    if missing := set(wanted) - set(found):
        rows = f"it has no frame for row {min(missing)} of {episode.length}"
        raise DatasetError(dataset.name, f"{shown} is too short.", [rows])
    return [found[row] for row in wanted]


def _caption(episode: Episode, camera: str, several: bool) -> str:
    task = episode.tasks[0] if episode.tasks else "no task"
    view = f" · {camera.rsplit('.', 1)[-1]}" if several else ""
    return f"Episode {episode.index}{view} · {task}"


def _png(sheet: "Image") -> bytes:
    """A sheet as PNG with as many colours, and then as many pixels, as fit into the limit."""
    from PIL.Image import Resampling

    scale = 1.0
    while True:
        size = (round(sheet.width * scale), round(sheet.height * scale))
        scaled = sheet if scale == 1.0 else sheet.resize(size, Resampling.LANCZOS)
        for colours in (None, 256, 128, 64):
            image = scaled if colours is None else scaled.quantize(colours)
            buffer = io.BytesIO()
            image.save(buffer, format="PNG", optimize=True)
            if buffer.tell() < MAX_BYTES:
                return buffer.getvalue()
        scale *= 0.8
