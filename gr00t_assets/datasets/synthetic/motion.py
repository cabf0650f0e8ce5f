"""One synthetic demonstration: an arm takes a thing from the table to the plate."""

from typing import NamedTuple

import numpy as np

from gr00t_assets.environments.synthetic.robots import Robot
from gr00t_assets.environments.synthetic.scene import Capsule


class Thing(NamedTuple):
    """Something to pick.

    An instruction calls it by its name. It is taken at the height ``grasp``, and looks like its
    parts, in metres from the point where it stands on the table.
    """

    name: str
    grasp: float
    parts: tuple[Capsule, ...]

    @property
    def instruction(self) -> str:
        """The sentence that the robot is given."""
        return f"pick the {self.name} from the counter and place it in the plate"

    def standing(self, position: np.ndarray, scale: float) -> list[Capsule]:
        """Its parts where it stands at a point, ``scale`` times its size."""
        parts = []
        for start, end, radius, color in self.parts:
            start, end = (position + scale * np.asarray(point) for point in (start, end))
            parts.append(Capsule(start, end, scale * radius, color))
        return parts


_PEAR = (
    Capsule((0, 0, 0.026), (0, 0, 0.026), 0.026, (150, 186, 64)),
    Capsule((0, 0, 0.052), (0, 0, 0.052), 0.017, (150, 186, 64)),
    Capsule((0, 0, 0.066), (0.004, 0, 0.078), 0.003, (92, 64, 40)),
)
_SWEET_POTATO = (Capsule((-0.026, -0.012, 0.021), (0.026, 0.012, 0.021), 0.021, (202, 104, 44)),)
_MEAT = (
    Capsule((-0.02, -0.018, 0.017), (0.02, -0.012, 0.017), 0.017, (150, 48, 44)),
    Capsule((-0.018, 0.016, 0.017), (0.022, 0.014, 0.017), 0.017, (150, 48, 44)),
    Capsule((-0.014, 0.002, 0.028), (0.016, 0.002, 0.028), 0.006, (236, 214, 200)),
)
_SALT = (
    Capsule((0, 0, 0.018), (0, 0, 0.052), 0.018, (236, 238, 244)),
    Capsule((0, 0, 0.064), (0, 0, 0.068), 0.013, (120, 130, 144)),
)
_CUPCAKE = (
    Capsule((0, 0, 0.018), (0, 0, 0.024), 0.02, (122, 76, 46)),
    Capsule((0, 0, 0.042), (0, 0, 0.042), 0.024, (236, 130, 172)),
    Capsule((0, 0, 0.068), (0, 0, 0.068), 0.007, (196, 30, 44)),
)
THINGS = (
    Thing("pear", 0.03, _PEAR),
    Thing("sweet potato", 0.022, _SWEET_POTATO),
    Thing("meat", 0.018, _MEAT),
    Thing("salt", 0.035, _SALT),
    Thing("cupcake", 0.03, _CUPCAKE),
)
"""What NVIDIA's demonstration dataset picks, too."""

_FOLLOWS, _IN_HAND = 0.45, 0.02
"""Share of the way to the command that a joint goes in one frame; metres between tool and thing,
seen from above, at which a closed hand holds it."""


class Demonstration(NamedTuple):
    """Everything that happens in one episode of T frames; lengths are in metres.

    Attributes:
        states: Joint numbers that were reached, shape ``(T, numbers)``.
        actions: Joint numbers that were commanded for the next frame, the same shape.
        places: Where the thing is, shape ``(T, 3)``.
        grasped: Whether the hand holds it, shape ``(T,)``.
        plate: Middle of the plate, shape ``(3,)``.
        tint: Brightness of the table's wood.
    """

    thing: Thing
    states: np.ndarray
    actions: np.ndarray
    places: np.ndarray
    grasped: np.ndarray
    plate: np.ndarray
    tint: float


def demonstrate(
    robot: Robot, thing: Thing, frames: int, random: np.random.Generator
) -> Demonstration:
    """Plan and play one episode.

    The commands go through the poses of the work with least jerk. The joints follow them with a
    lag of about two frames, as real ones do; the thing moves with the hand while it is held, and
    falls when it is let go.
    """
    (low_x, high_x), (low_y, high_y) = robot.thing_area
    place = np.array([random.uniform(low_x, high_x), random.uniform(low_y, high_y), 0.0])
    plate = np.array([*robot.plate, 0.0]) + np.append(random.uniform(-0.015, 0.015, 2), 0.0)
    commands, closures = _commands(robot, thing, place, plate, frames, random)
    actions = np.array(list(map(robot.vector, commands, closures)))
    states = actions.copy()
    for frame in range(1, frames):
        states[frame] = states[frame - 1] + _FOLLOWS * (actions[frame - 1] - states[frame - 1])
    places, grasped = _carried(robot, states, closures, place, plate)
    tint = float(random.uniform(0.94, 1.04))
    return Demonstration(thing, states, actions, places, grasped, plate, tint)


def shuffled_things(random: np.random.Generator, count: int) -> list[Thing]:
    """Things for some episodes: each once before any comes again."""
    order: list[Thing] = []
    while len(order) < count:
        order += [THINGS[index] for index in random.permutation(len(THINGS))]
    return order[:count]


def _commands(
    robot: Robot,
    thing: Thing,
    place: np.ndarray,
    plate: np.ndarray,
    frames: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Angles of the arm, shape ``(frames, joints)``, and closure of the hand, ``(frames,)``."""
    grasp = np.array([0.0, 0.0, robot.scale * thing.grasp])
    above = np.array([0.0, 0.0, robot.lift])
    drop = plate + grasp + np.array([0.0, 0.0, 0.025])
    poses, near = [], robot.rest + random.uniform(-1, 1) * robot.turn
    for target in (place + above, place + grasp, place + above, plate + above, drop, plate + above):
        side = np.arctan2(target[1], target[0])
        turned = np.array([[np.cos(side), -np.sin(side)], [np.sin(side), np.cos(side)]])
        direction = np.append(turned @ robot.direction[:2], robot.direction[2])
        near = robot.chain.inverse(target, direction, near)
        poses.append(near)
    over, at, lifted, across, down, up = poses
    script = (robot.rest, over, at, at, lifted, across, down, down, up, robot.rest)
    grips = (0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    shares = np.array([0.05, 0.20, 0.11, 0.07, 0.10, 0.17, 0.09, 0.06, 0.08, 0.12])
    shares *= random.uniform(0.85, 1.15, len(shares))
    ends = np.round(np.cumsum(shares) / shares.sum() * (frames - 1)).astype(int)
    angles = np.tile(robot.rest, (frames, 1))
    closures = np.zeros(frames)
    before, closed, start = robot.rest, 0.0, 0
    for end, pose, closure in zip(ends, script, grips, strict=True):
        steps = np.linspace(0, 1, end - start + 1)
        smooth = steps**3 * (10 - 15 * steps + 6 * steps**2)
        angles[start : end + 1] = before + smooth[:, None] * (pose - before)
        closures[start : end + 1] = closed + smooth * (closure - closed)
        before, closed, start = pose, closure, end
    return angles, closures


def _carried(
    robot: Robot, states: np.ndarray, closures: np.ndarray, place: np.ndarray, plate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the thing is in each frame, and whether it is held."""
    places = np.empty((len(states), 3))
    grasped = np.zeros(len(states), dtype=bool)
    now, offset, speed, holding = place.copy(), np.zeros(3), 0.0, False
    for frame, state in enumerate(states):
        closure, tool = robot.closure(state), robot.pose(state).points[-1]
        if holding:
            holding = closure > 0.6
        elif closure > 0.75 and closures[frame] > 0.75:
            offset = now - tool
            holding = float(np.hypot(*offset[:2])) < _IN_HAND
        if holding:
            now, speed = tool + offset, 0.0
        else:
            ground = 0.005 if np.hypot(*(now - plate)[:2]) < robot.plate_radius else 0.0
            if now[2] > ground:
                speed += 0.008
                now = np.array([now[0], now[1], max(ground, now[2] - speed)])
        places[frame], grasped[frame] = now, holding
    return places, grasped
