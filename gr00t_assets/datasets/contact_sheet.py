"""A dataset at a glance: frames of its episodes in rows, as one small PNG."""

import io
import textwrap
from itertools import islice
from typing import TYPE_CHECKING

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.recorded_frames import recorded_frames
from gr00t_assets.datasets.videos import VideoError, spread_positions

if TYPE_CHECKING:
    from PIL.Image import Image

LIMIT = 400_000  # bytes that a sheet may have, so that it can be put inside Markdown metadata

_EPISODES, _COLUMNS = 5, 6
_GAP, _CAPTION = 4, 20
_TEXT, _PAPER = (40, 44, 52), (250, 250, 248)


def contact_sheet(dataset: LeRobotDataset) -> bytes:
    """Frames of the first episodes, a row for each episode and camera, evenly spaced in time.

    A PNG of 256 colours, 960 pixels wide, less where it would not fit into ``LIMIT`` bytes. A
    DatasetError where a frame cannot be read.
    """
    from PIL import Image

    rows: list[tuple[str, list[Image.Image]]] = []
    for episode in dataset.episodes[:_EPISODES]:
        task = episode.tasks[0] if episode.tasks else "no task"
        for camera in dataset.cameras:
            short = camera.rsplit(".", 1)[-1]
            caption = f"episode {episode.index}  {short}  {episode.length} rows  {task}"
            wanted = spread_positions(episode.length, _COLUMNS)
            recorded = recorded_frames(dataset, episode.index, camera)
            frames = (frame for _, frame in recorded.decode(wanted) if frame is not None)
            try:
                images = [Image.fromarray(frame) for frame in islice(frames, len(wanted))]
            except VideoError as error:
                shown = recorded.path.relative_to(dataset.directory)
                raise DatasetError(dataset.name, f"{shown}: {error}.") from error
            rows.append((caption, images))
    if not rows:
        rows.append((f"{dataset.name} has no camera", []))
    width = 960
    while len(encoded := _encode(rows, width)) > LIMIT and width >= 200:
        width = int(width * 0.85)
    return encoded


def _encode(rows: list[tuple[str, list["Image"]]], width: int) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    across = (width - _GAP * (_COLUMNS + 1)) // _COLUMNS
    heights = [
        max((round(frame.height * across / frame.width) or 1 for frame in frames), default=0)
        for _, frames in rows
    ]
    total = sum(heights) + len(rows) * (_CAPTION + _GAP) + _GAP
    sheet = Image.new("RGB", (width, total), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    top = _GAP
    for (caption, frames), height in zip(rows, heights, strict=True):
        shown = textwrap.shorten(caption, width=max(20, width // 6), placeholder="...")
        draw.text((_GAP, top + 2), shown, fill=_TEXT, font=font)
        top += _CAPTION
        for column, frame in enumerate(frames):
            place = _GAP + column * (across + _GAP), top
            sheet.paste(frame.resize((across, height), Image.Resampling.LANCZOS), place)
        top += height + _GAP
    output = io.BytesIO()
    small = sheet.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(output, "PNG", optimize=True)
    return output.getvalue()
