"""What lies on the counter: the objects that are carried, the plate, and what stands about."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gr00t_assets.datasets.synthetic_motion import rotation
from gr00t_assets.datasets.synthetic_robots import Colour, Parts

Rod = tuple[tuple[float, float, float], tuple[float, float, float], float, float, Colour]

GREEN: Colour = (74, 128, 62)
STEM: Colour = (96, 68, 42)

ITEMS: dict[str, tuple[Rod, ...]] = {
    "pear": (
        ((-0.012, 0, 0), (0.006, 0, 0.004), 0.026, 0.021, (190, 196, 62)),
        ((0.006, 0, 0.004), (0.03, 0, 0.01), 0.021, 0.012, (202, 204, 78)),
        ((0.04, 0, 0.013), (0.052, 0.004, 0.018), 0.003, 0.002, STEM),
    ),
    "sweet potato": (
        ((-0.04, 0.004, 0), (-0.008, 0, 0), 0.009, 0.024, (184, 84, 62)),
        ((-0.008, 0, 0), (0.016, 0, 0), 0.024, 0.021, (192, 90, 66)),
        ((0.016, 0, 0), (0.046, -0.006, 0), 0.021, 0.007, (184, 84, 62)),
    ),
    "apple": (
        ((-0.003, 0, 0), (0.003, 0, 0.002), 0.028, 0.028, (206, 48, 48)),
        ((0, 0, 0.026), (0.004, 0.002, 0.042), 0.003, 0.0025, STEM),
        ((0.004, 0, 0.034), (0.018, 0.004, 0.038), 0.003, 0.006, GREEN),
    ),
    "lemon": (
        ((-0.012, 0, 0), (0.012, 0, 0), 0.022, 0.022, (244, 212, 56)),
        ((0.026, 0, 0), (0.036, 0, 0), 0.012, 0.006, (238, 200, 48)),
    ),
    "carrot": (
        ((-0.052, 0, 0), (0.03, 0, 0), 0.006, 0.019, (240, 128, 42)),
        ((0.044, 0, 0.002), (0.066, 0.012, 0.008), 0.006, 0.005, GREEN),
        ((0.044, 0, 0.002), (0.07, -0.004, 0.01), 0.006, 0.005, GREEN),
        ((0.044, 0, 0.002), (0.062, -0.016, 0.006), 0.006, 0.005, GREEN),
    ),
    "cupcake": (
        ((0, 0, -0.008), (0, 0, 0.002), 0.019, 0.024, (150, 96, 58)),
        ((0, 0, 0.014), (0, 0, 0.022), 0.024, 0.018, (248, 184, 204)),
        ((0, 0, 0.03), (0, 0, 0.036), 0.015, 0.01, (252, 202, 218)),
        ((0, 0, 0.046), (0, 0, 0.046), 0.0075, 0.0075, (208, 34, 52)),
    ),
    "cucumber": (
        ((-0.042, 0, 0), (0.04, 0.004, 0), 0.0175, 0.018, (66, 128, 58)),
        ((0.052, 0.005, 0), (0.06, 0.006, 0.001), 0.007, 0.004, (120, 160, 84)),
    ),
    "eggplant": (
        ((-0.022, 0, 0), (0.022, 0, 0.002), 0.026, 0.017, (92, 52, 122)),
        ((0.034, 0, 0.004), (0.044, 0, 0.006), 0.013, 0.009, GREEN),
        ((0.048, 0, 0.006), (0.06, 0, 0.01), 0.004, 0.003, GREEN),
    ),
}
"""Rods in metres about the middle of each object."""

ITEM_HEIGHT = 0.024
"""Metres of an object's middle above what it lies on."""
PLATE_HEIGHT = 0.01

PLATES: tuple[tuple[Colour, Colour], ...] = (
    ((240, 240, 236), (226, 226, 222)),
    ((226, 178, 60), (176, 186, 132)),
    ((112, 152, 190), (206, 222, 234)),
    ((198, 98, 82), (240, 226, 212)),
    ((96, 142, 116), (222, 232, 218)),
)
WALLS: tuple[Colour, ...] = (
    (222, 224, 226),
    (206, 214, 206),
    (228, 216, 200),
    (198, 208, 220),
    (216, 206, 214),
)


@dataclass(frozen=True)
class Setting:
    """What one episode looks like, apart from the robot.

    Attributes:
        item: Name of the object, a key of :data:`ITEMS`.
        position: Middle of the object at the start, shape ``(3,)``.
        yaw: How the object lies, radians.
        size: Factor of the object's lengths.
        tint: Factor of the object's colours, shape ``(3,)``.
        plate: Middle of the plate, shape ``(3,)``.
        plate_radius: Metres.
        place: Where the object's middle goes, shape ``(3,)``.
        plate_style: Number into :data:`PLATES`.
        counter: Number of the counter's texture.
        wall: Number into :data:`WALLS`.
        clutter: What stands at the back, or nothing.
    """

    item: str
    position: np.ndarray
    yaw: float
    size: float
    tint: np.ndarray
    plate: np.ndarray
    plate_radius: float
    place: np.ndarray
    plate_style: int
    counter: int
    wall: int
    clutter: Parts | None

    @property
    def task(self) -> str:
        """The instruction."""
        return f"pick the {self.item} from the counter and place it in the plate"


def item_parts(setting: Setting, path: np.ndarray) -> Parts:
    """The object along its path, shape ``(rows, 3)``."""
    turn = rotation((0.0, 0.0, 1.0), np.array([setting.yaw]))[0]
    rods = []
    for begin, end, radius, other, colour in ITEMS[setting.item]:
        tinted = np.clip(np.array(colour) * setting.tint, 0, 255)
        ends = [path + turn @ np.multiply(point, setting.size) for point in (begin, end)]
        thick = radius * setting.size, other * setting.size
        rods.append((ends[0], ends[1], *thick, tuple(tinted)))
    return Parts.of(rods)


def _plant(x: float, y: float, rng: np.random.Generator) -> list:
    rods: list[Rod] = [((x, y, 0.03), (x, y, 0.055), 0.034, 0.042, (188, 190, 192))]
    for _ in range(26):
        turn, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 1.15)
        length, shade = rng.uniform(0.09, 0.15), rng.uniform(0.7, 1.15)
        tip = (
            x + length * np.sin(lean) * np.cos(turn),
            y + length * np.sin(lean) * np.sin(turn),
            0.08 + length * np.cos(lean),
        )
        green = (int(62 * shade), int(122 * shade), int(56 * shade))
        rods.append(((x, y, 0.08), tip, 0.008, 0.0025, green))
    return rods


def _paper_roll(x: float, y: float, rng: np.random.Generator) -> list:
    return [
        ((x, y, 0.012), (x, y, 0.012), 0.06, 0.06, (120, 122, 126)),
        ((x, y, 0.055), (x, y, 0.17), 0.048, 0.048, (240, 240, 238)),
        ((x, y, 0.21), (x, y, 0.24), 0.009, 0.009, (90, 92, 96)),
    ]


def _mug(x: float, y: float, rng: np.random.Generator) -> list:
    colour = ((70, 110, 150), (170, 70, 64), (86, 128, 104))[rng.integers(3)]
    return [
        ((x + 0.035, y, 0.035), (x + 0.055, y, 0.05), 0.007, 0.007, colour),
        ((x, y, 0.03), (x, y, 0.062), 0.03, 0.033, colour),
        ((x, y, 0.074), (x, y, 0.074), 0.026, 0.026, (50, 36, 30)),
    ]


def _jar(x: float, y: float, rng: np.random.Generator) -> list:
    content = ((206, 160, 96), (150, 84, 52), (214, 196, 150))[rng.integers(3)]
    return [
        ((x, y, 0.035), (x, y, 0.1), 0.036, 0.036, content),
        ((x, y, 0.135), (x, y, 0.14), 0.03, 0.03, (70, 72, 76)),
    ]


def clutter(places: list[tuple[float, float]], rng: np.random.Generator) -> Parts:
    """One thing that stands still at each place, shape of the rods ``(1, ...)``."""
    kinds: list[Callable[..., list]] = [_plant, _paper_roll, _mug, _jar]
    chosen = rng.permutation(len(kinds))[: len(places)]
    rods = []
    for (x, y), kind in zip(places, chosen, strict=True):
        shifted = x + rng.uniform(-0.03, 0.03), y + rng.uniform(-0.02, 0.02)
        rods += [
            (np.array([begin]), np.array([end]), radius, other, colour)
            for begin, end, radius, other, colour in kinds[kind](*shifted, rng)
        ]
    return Parts.of(rods)
