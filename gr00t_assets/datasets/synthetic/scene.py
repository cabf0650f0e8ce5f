"""Drawing a scene as a pinhole camera sees it: spheres, capsules, flat shapes; table and plate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Color = tuple[int, int, int]

Point = Sequence[float] | np.ndarray
"""x, y and z, metres."""

NEAR = 0.03
"""Metres from the camera at which shapes are cut off."""

TABLE: Color = (188, 150, 108)
WALL: Color = (214, 220, 224)
PLATE: Color = (240, 240, 236)

_OVERSAMPLING = 2


@dataclass(frozen=True)
class Flat:
    """A filled outline in the world, drawn under every solid, in the order given.

    Attributes:
        outline: Corners, shape ``(n, 3)``, metres.
        color: RGB.
    """

    outline: np.ndarray
    color: Color


@dataclass(frozen=True)
class Capsule:
    """A thick line between two balls; a ball where both ends are one.

    Attributes:
        start: Middle of the first ball.
        end: Middle of the other.
        radius: Metres.
        color: RGB.
    """

    start: Point
    end: Point
    radius: float
    color: Color


@dataclass(frozen=True)
class PinholeCamera:
    """A camera without distortion.

    Attributes:
        position: Metres, shape ``(3,)``.
        rotation: Rows are right, down and forward in the world, shape ``(3, 3)``.
        focal: Focal length in widths of the image.
        width: Pixels.
        height: Pixels.
    """

    position: np.ndarray
    rotation: np.ndarray
    focal: float
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


def disc(centre: np.ndarray, radius: float, color: Color, corners: int = 28) -> Flat:
    """A horizontal disc."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(corners)], axis=1)
    return Flat(centre + radius * ring, color)


def rectangle(x: tuple[float, float], y: tuple[float, float], z: float, color: Color) -> Flat:
    """A horizontal rectangle."""
    corners = [(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)]
    return Flat(np.array(corners), color)


def render(
    camera: PinholeCamera, flats: Sequence[Flat], solids: Sequence[Capsule], background: Color
) -> np.ndarray:
    """The image, shape ``(height, width, 3)``, uint8 RGB.

    Solids hide each other by the distance of their middles; each is shaded and outlined.
    """
    size = camera.width * _OVERSAMPLING, camera.height * _OVERSAMPLING
    image = Image.new("RGB", size, background)
    draw = ImageDraw.Draw(image)
    for flat in flats:
        outline = _cut(camera.view(flat.outline))
        if len(outline) > 2:
            points = camera.pixels(outline) * _OVERSAMPLING
            draw.polygon([tuple(point) for point in points.tolist()], fill=flat.color)
    viewed = [camera.view(np.stack([solid.start, solid.end])) for solid in solids]
    pairs = zip(viewed, solids, strict=True)
    for ends, solid in sorted(pairs, key=lambda pair: -float(np.linalg.norm(pair[0].mean(0)))):
        _draw_capsule(draw, camera, ends, solid)
    return np.asarray(image.reduce(_OVERSAMPLING))


def shade(color: Color, factor: float) -> Color:
    """A colour made darker (factor below 1) or lighter (above 1, towards white)."""
    if factor <= 1:
        return _scaled(color, factor)
    red, green, blue = (int(part + (255 - part) * (factor - 1)) for part in color)
    return red, green, blue


def _scaled(color: Color, factor: float) -> Color:
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
    ends = ends.copy()
    for end, other in ((0, 1), (1, 0)):
        if ends[end, 2] < NEAR:
            share = (NEAR - ends[end, 2]) / (ends[other, 2] - ends[end, 2])
            ends[end] += share * (ends[other] - ends[end])
    points = camera.pixels(ends) * _OVERSAMPLING
    radii = solid.radius * camera.focal * camera.width * _OVERSAMPLING / ends[:, 2]
    layers = (
        (1.0, (0.0, 0.0), shade(solid.color, 0.62)),
        (0.88, (-0.05, -0.05), solid.color),
        (0.42, (-0.24, -0.24), shade(solid.color, 1.3)),
    )
    for size, shift, color in layers:
        _hull(draw, points + radii[:, None] * np.array(shift), radii * size, color)


def _hull(draw: ImageDraw.ImageDraw, points: np.ndarray, radii: np.ndarray, color: Color) -> None:
    along = points[1] - points[0]
    length = float(np.hypot(*along))
    if length > 1e-6:
        across = np.outer(radii, np.array([-along[1], along[0]]) / length)
        corners = np.concatenate([points + across, (points - across)[::-1]])
        draw.polygon([tuple(corner) for corner in corners.tolist()], fill=color)
    for (x, y), radius in zip(points, radii, strict=True):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def table(x: tuple[float, float], y: tuple[float, float], tint: float) -> list[Flat]:
    """A table top of planks, with its front edge; ``tint`` makes its wood darker or lighter."""
    wood = _scaled(TABLE, tint)
    dark = _scaled(wood, 0.9)
    flats = [rectangle(x, y, 0.0, wood)]
    for seam in np.arange(y[0] + 0.06, y[1], 0.12):
        flats.append(rectangle(x, (seam, seam + 0.004), 0.0, dark))
    for row, seam in enumerate(np.arange(x[0] + 0.1, x[1], 0.22)):
        for offset in np.arange(y[0] + 0.06 + 0.12 * (row % 2), y[1] - 0.12, 0.24):
            flats.append(rectangle((seam, seam + 0.004), (offset, offset + 0.12), 0.0, dark))
    return flats


def plate(position: np.ndarray, radius: float) -> list[Flat]:
    """A plate on the table with its shadow and rim."""
    middle = position + np.array([0, 0, 0.004])
    return [
        disc(position + np.array([0.006, -0.006, 0.0]), radius * 1.04, (140, 108, 78)),
        disc(middle, radius, PLATE),
        disc(middle, radius * 0.78, (206, 208, 206)),
        disc(middle, radius * 0.72, (228, 229, 226)),
    ]


def shadow(point: np.ndarray, radius: float, on_plate: bool = False) -> Flat:
    """The shadow of something above the table; it fades with the height."""
    height = float(np.clip(point[2] / 0.25, 0, 1))
    ground: Color = (206, 206, 202) if on_plate else TABLE
    color = _scaled(ground, 0.72 + 0.2 * height)
    centre = np.array([point[0], point[1], 0.005 if on_plate else 0.0])
    return disc(centre, radius * (1 + 0.5 * height), color, 20)
