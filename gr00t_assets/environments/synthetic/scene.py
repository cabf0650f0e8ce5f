"""Drawing a scene as a pinhole camera sees it: spheres, capsules, flat shapes; table and plate."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

Color = tuple[int, int, int]

Point = Sequence[float] | np.ndarray  # x, y and z, metres
NEAR = 0.03  # Metres from the camera at which shapes are cut off
TABLE: Color = (188, 150, 108)
WALL: Color = (214, 220, 224)
PLATE: Color = (240, 240, 236)

_OVERSAMPLING = 2


class Flat(NamedTuple):
    """A filled outline in the world, drawn under every solid, in the order given."""

    outline: np.ndarray
    """Corners, shape ``(n, 3)``, metres."""
    color: Color


class Capsule(NamedTuple):
    """A thick line between the middles of two balls; a ball where both ends are one."""

    start: Point
    end: Point
    radius: float
    """Metres."""
    color: Color


class PinholeCamera(NamedTuple):
    """A camera without distortion."""

    position: np.ndarray
    """Metres, shape ``(3,)``."""
    rotation: np.ndarray
    """Rows are right, down and forward in the world, shape ``(3, 3)``."""
    focal: float
    """Focal length in widths of the image."""
    width: int
    height: int

    @classmethod
    def looking(
        cls, position: Point, forward: Point, up: Point, focal: float, size: tuple[int, int]
    ) -> "PinholeCamera":
        """A camera that looks along ``forward`` with ``up`` towards the top of the image."""
        ahead = np.asarray(forward, dtype=float)
        ahead = ahead / np.linalg.norm(ahead)
        right = np.cross(ahead, np.asarray(up, dtype=float))
        right = right / np.linalg.norm(right)
        rotation = np.array([right, np.cross(ahead, right), ahead])
        return cls(np.asarray(position, dtype=float), rotation, focal, *size)

    def view(self, points: np.ndarray) -> np.ndarray:
        """Points of the world in the camera's frame: right, down, ahead, metres, ``(n, 3)``."""
        return (points - self.position) @ self.rotation.T

    def pixels(self, viewed: np.ndarray) -> np.ndarray:
        """Image positions of points in the camera's frame that lie ahead, shape ``(n, 2)``."""
        scale = self.focal * self.width / viewed[:, 2:]
        return viewed[:, :2] * scale + np.array([self.width, self.height]) / 2


def render(camera: PinholeCamera, flats: Sequence[Flat], solids: Sequence[Capsule]) -> np.ndarray:
    """The image, shape ``(height, width, 3)``, uint8 RGB.

    Solids hide each other by the distance of their middles; each is shaded and outlined.
    """
    size = camera.width * _OVERSAMPLING, camera.height * _OVERSAMPLING
    image = Image.new("RGB", size, WALL)
    draw = ImageDraw.Draw(image)
    for flat in flats:
        outline = _cut(camera.view(flat.outline))
        if len(outline) > 2:
            _polygon(draw, camera.pixels(outline) * _OVERSAMPLING, flat.color)
    viewed = [camera.view(np.stack([solid.start, solid.end])) for solid in solids]
    pairs = zip(viewed, solids, strict=True)
    for ends, solid in sorted(pairs, key=lambda pair: -float(np.linalg.norm(pair[0].mean(0)))):
        _draw_capsule(draw, camera, ends, solid)
    return np.asarray(image.reduce(_OVERSAMPLING))


def tinted(color: Color, factor: float) -> Color:
    """A colour made darker, or lighter up to its brightest part."""
    red, green, blue = (int(part * factor) for part in color)
    return red, green, blue


def _cut(viewed: np.ndarray) -> np.ndarray:
    """The part of an outline that lies ahead of the camera (Sutherland and Hodgman)."""
    corners: list[np.ndarray] = []
    for start, end in zip(viewed, np.roll(viewed, -1, axis=0), strict=True):
        if start[2] >= NEAR:
            corners.append(start)
        if (start[2] >= NEAR) != (end[2] >= NEAR):
            share = (NEAR - start[2]) / (end[2] - start[2])
            corners.append(start + share * (end - start))
    return np.array(corners).reshape(-1, 3)


def _draw_capsule(
    draw: ImageDraw.ImageDraw, camera: PinholeCamera, ends: np.ndarray, solid: Capsule
) -> None:
    if (ends[:, 2] < NEAR).all():
        return
    for end, other in ((0, 1), (1, 0)):
        if ends[end, 2] < NEAR:
            share = (NEAR - ends[end, 2]) / (ends[other, 2] - ends[end, 2])
            ends[end] += share * (ends[other] - ends[end])
    points = camera.pixels(ends) * _OVERSAMPLING
    radii = solid.radius * camera.focal * camera.width * _OVERSAMPLING / ends[:, 2]
    red, green, blue = (int(part + (255 - part) * (1.3 - 1)) for part in solid.color)
    for size, shift, color in (
        (1.0, 0.0, tinted(solid.color, 0.62)),
        (0.88, -0.05, solid.color),
        (0.42, -0.24, (red, green, blue)),
    ):
        middles, reach = points + radii[:, None] * shift, radii * size
        along = middles[1] - middles[0]
        length = float(np.hypot(*along))
        if length > 1e-6:
            across = np.outer(reach, np.array([-along[1], along[0]]) / length)
            _polygon(draw, np.concatenate([middles + across, (middles - across)[::-1]]), color)
        for (x, y), radius in zip(middles, reach, strict=True):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def _polygon(draw: ImageDraw.ImageDraw, corners: np.ndarray, color: Color) -> None:
    draw.polygon([tuple(corner) for corner in corners.tolist()], fill=color)


def table(x: tuple[float, float], y: tuple[float, float], tint: float) -> list[Flat]:
    """A table top of planks, with its front edge; ``tint`` makes its wood darker or lighter."""
    wood = tinted(TABLE, tint)
    dark = tinted(wood, 0.9)
    flats = [rectangle(*x, *y, wood)]
    for seam in np.arange(y[0] + 0.06, y[1], 0.12):
        flats.append(rectangle(*x, seam, seam + 0.004, dark))
    for row, seam in enumerate(np.arange(x[0] + 0.1, x[1], 0.22)):
        for offset in np.arange(y[0] + 0.06 + 0.12 * (row % 2), y[1] - 0.12, 0.24):
            flats.append(rectangle(seam, seam + 0.004, offset, offset + 0.12, dark))
    return flats


def rectangle(left: float, right: float, near: float, far: float, color: Color) -> Flat:
    """A rectangle on the table, from ``left`` to ``right`` in x and ``near`` to ``far`` in y."""
    corners = [(left, near, 0.0), (right, near, 0.0), (right, far, 0.0), (left, far, 0.0)]
    return Flat(np.array(corners), color)


def plate(position: np.ndarray, radius: float) -> list[Flat]:
    """A plate on the table with its shadow and rim."""
    middle = position + np.array([0, 0, 0.004])
    return [
        disc(position + np.array([0.006, -0.006, 0.0]), radius * 1.04, (140, 108, 78)),
        disc(middle, radius, PLATE),
        disc(middle, radius * 0.78, (206, 208, 206)),
        disc(middle, radius * 0.72, (228, 229, 226)),
    ]


def shadow(point: np.ndarray, radius: float, on_plate: bool) -> Flat:
    """The shadow of something above the table; it fades with the height."""
    height = float(np.clip(point[2] / 0.25, 0, 1))
    ground: Color = (206, 206, 202) if on_plate else TABLE
    centre = np.array([point[0], point[1], 0.005 if on_plate else 0.0])
    return disc(centre, radius * (1 + 0.5 * height), tinted(ground, 0.72 + 0.2 * height), 20)


def disc(centre: np.ndarray, radius: float, color: Color, corners: int = 28) -> Flat:
    """A horizontal disc."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(corners)], axis=1)
    return Flat(centre + radius * ring, color)
