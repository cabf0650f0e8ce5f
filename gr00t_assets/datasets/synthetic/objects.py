"""The table, the plate and the things that are carried to it."""

from dataclasses import dataclass

import numpy as np

from gr00t_assets.datasets.synthetic.scene import Capsule, Color, Flat, disc, rectangle

TABLE: Color = (188, 150, 108)
WALL: Color = (214, 220, 224)
PLATE: Color = (240, 240, 236)


@dataclass(frozen=True)
class Part:
    """A capsule of a thing, in metres from the point where it stands on the table."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float
    color: Color


@dataclass(frozen=True)
class Thing:
    """Something to pick.

    Attributes:
        name: As an instruction calls it.
        grasp: Height at which it is taken, metres.
        parts: What it looks like.
    """

    name: str
    grasp: float
    parts: tuple[Part, ...]


_GREEN, _ORANGE, _RED = (150, 186, 64), (202, 104, 44), (150, 48, 44)
_SALT, _CAP, _PAPER, _ICING = (236, 238, 244), (120, 130, 144), (122, 76, 46), (236, 130, 172)

THINGS = (
    Thing(
        "pear",
        0.03,
        (
            Part((0, 0, 0.026), (0, 0, 0.026), 0.026, _GREEN),
            Part((0, 0, 0.052), (0, 0, 0.052), 0.017, _GREEN),
            Part((0, 0, 0.066), (0.004, 0, 0.078), 0.003, (92, 64, 40)),
        ),
    ),
    Thing(
        "sweet potato",
        0.022,
        (Part((-0.026, -0.012, 0.021), (0.026, 0.012, 0.021), 0.021, _ORANGE),),
    ),
    Thing(
        "meat",
        0.018,
        (
            Part((-0.02, -0.018, 0.017), (0.02, -0.012, 0.017), 0.017, _RED),
            Part((-0.018, 0.016, 0.017), (0.022, 0.014, 0.017), 0.017, _RED),
            Part((-0.014, 0.002, 0.028), (0.016, 0.002, 0.028), 0.006, (236, 214, 200)),
        ),
    ),
    Thing(
        "salt",
        0.035,
        (
            Part((0, 0, 0.018), (0, 0, 0.052), 0.018, _SALT),
            Part((0, 0, 0.064), (0, 0, 0.068), 0.013, _CAP),
        ),
    ),
    Thing(
        "cupcake",
        0.03,
        (
            Part((0, 0, 0.018), (0, 0, 0.024), 0.02, _PAPER),
            Part((0, 0, 0.042), (0, 0, 0.042), 0.024, _ICING),
            Part((0, 0, 0.068), (0, 0, 0.068), 0.007, (196, 30, 44)),
        ),
    ),
)
"""What NVIDIA's demonstration dataset picks, too."""


def instruction(thing: Thing) -> str:
    """The sentence that the robot is given.

    Example:
        >>> instruction(THINGS[0])
        'pick the pear from the counter and place it in the plate'
    """
    return f"pick the {thing.name} from the counter and place it in the plate"


def standing(thing: Thing, position: np.ndarray, scale: float) -> list[Capsule]:
    """A thing that stands at a point, ``scale`` times its size."""
    return [
        Capsule(
            position + scale * np.asarray(part.start),
            position + scale * np.asarray(part.end),
            scale * part.radius,
            part.color,
        )
        for part in thing.parts
    ]


def table(x: tuple[float, float], y: tuple[float, float], tint: float) -> list[Flat]:
    """A table top of planks, with its front edge; ``tint`` makes its wood darker or lighter."""
    wood = tuple(int(part * tint) for part in TABLE)
    dark = tuple(int(part * 0.9) for part in wood)
    flats = [rectangle(x, y, 0.0, wood)]  # type: ignore[arg-type]
    for seam in np.arange(y[0] + 0.06, y[1], 0.12):
        flats.append(rectangle(x, (seam, seam + 0.004), 0.0, dark))  # type: ignore[arg-type]
    for row, seam in enumerate(np.arange(x[0] + 0.1, x[1], 0.22)):
        for offset in np.arange(y[0] + 0.06 + 0.12 * (row % 2), y[1] - 0.12, 0.24):
            plank = (seam, seam + 0.004), (offset, offset + 0.12)
            flats.append(rectangle(*plank, 0.0, dark))  # type: ignore[arg-type]
    return flats


def plate(position: np.ndarray, radius: float) -> list[Flat]:
    """A plate on the table with its shadow and rim."""
    return [
        disc(position + np.array([0.006, -0.006, 0.0]), radius * 1.04, (140, 108, 78)),
        disc(position + np.array([0, 0, 0.004]), radius, PLATE),
        disc(position + np.array([0, 0, 0.004]), radius * 0.78, (206, 208, 206)),
        disc(position + np.array([0, 0, 0.004]), radius * 0.72, (228, 229, 226)),
    ]


def shadow(point: np.ndarray, radius: float, on_plate: bool = False) -> Flat:
    """The shadow of something above the table; it fades with the height."""
    height = float(np.clip(point[2] / 0.25, 0, 1))
    ground: Color = (206, 206, 202) if on_plate else TABLE
    dark = 0.72 + 0.2 * height
    color = tuple(int(part * dark) for part in ground)
    centre = np.array([point[0], point[1], 0.005 if on_plate else 0.0])
    return disc(centre, radius * (1 + 0.5 * height), color, 20)  # type: ignore[arg-type]
