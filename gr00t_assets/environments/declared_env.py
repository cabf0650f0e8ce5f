"""A declared Gymnasium environment, opened: what it shows and takes, in the data config's keys.

What an environment may offer beyond Gymnasium, as attributes of ``env.unwrapped``:

- ``expert()``: a function of the environment that answers the next action, flat, in its units, in
  this episode and in any after it;
- ``joint_names``: of the numbers of its flat action;
- ``skip_images``: where it is set to True the environment may leave images out of what it shows,
  or show old ones; steps that nobody looks at then cost no rendering;
- ``render_seconds``: seconds that it has drawn for so far.
"""

import importlib
import re
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gr00t_assets.core.errors import Gr00tAssetsError, SimulationError
from gr00t_assets.core.text import nearest
from gr00t_assets.environments import places
from gr00t_assets.environments.environment_file import RENDERED, Environment, InstructionSource

_NO_RENDERING = re.compile(r"opengl|\begl|glfw|osmesa|glgeterror|mjrcontext", re.IGNORECASE)

RENDERING = (
    "set MUJOCO_GL=egl EGL_PLATFORM=surfaceless LIBGL_ALWAYS_SOFTWARE=1 to draw without a screen",
    "on Debian and Ubuntu: apt-get install libegl1 libgl1-mesa-dri; and: pip install PyOpenGL",
)
"""What to do where nothing can be drawn."""


class Shown(NamedTuple):
    """What an environment shows after a reset or a step.

    ``video.KEY`` (H, W, 3) uint8, ``state.KEY`` (n,) float64 and the text ``task``; whether it says
    that the task is done; progress from 0 to 1; whether its episode has ended for any reason. From
    another process also the seconds that it took, and those of them that it drew for; and after a
    reset what its observation and its action are, a line each.
    """

    observation: dict[str, Any]
    success: bool
    score: float | None
    done: bool
    seconds: float = 0.0
    render_seconds: float = 0.0
    offers: tuple[str, ...] = ()


class DeclaredEnv:
    """An open environment ``env``; ``names`` are of its flat action, empty where nobody says."""

    def __init__(self, environment: Environment, env: Any) -> None:
        self.declared, self.env = environment, env
        self._inner = env.unwrapped
        self.names = tuple(getattr(self._inner, "joint_names", environment.names))
        self._rendered, self._images = 0.0, True
        self._places = {
            key: None if source == RENDERED else places.parse_place(source)
            for key, source in environment.observation.items()
        }

    @property
    def render_seconds(self) -> float:
        """Seconds that it has drawn for so far, as far as it is known."""
        return self._rendered + float(getattr(self._inner, "render_seconds", 0.0))

    def reset(self, seed: int, images: bool = True) -> Shown:
        """Begin an episode; ``SimulationError`` where not all is there that is declared."""
        self._show(images)
        try:
            observation, info = self.env.reset(seed=seed)
        except Exception as error:
            raise _failed(self.declared, "it cannot begin an episode.", error) from error
        return self._observed(observation, {"info": info}, False)

    def step(self, action: np.ndarray | None, images: bool = True) -> Shown:
        """Do a flat action, (numbers,) in its units, cut to its limits; None: any that it takes."""
        native = self.env.action_space.sample() if action is None else self._native(action)
        self._show(images)
        observation, reward, terminated, truncated, info = self.env.step(native)
        answer = {"info": info, "reward": reward, "terminated": terminated}
        return self._observed(observation, answer, bool(terminated or truncated))

    def expert(self) -> Callable[[], np.ndarray] | None:
        """A function that answers the expert's next action; None where there is no expert."""
        if not hasattr(self._inner, "expert"):
            return None
        answer = self._inner.expert()
        return lambda: np.asarray(answer(self._inner), float)

    def close(self) -> None:
        """Let go of what it holds."""
        self.env.close()

    def offers(self) -> list[str]:
        """What its last observation has, a line each: ``pixels.front (128, 128, 3) uint8``."""
        values = places.leaves(self._raw)
        return [f"{path} {places.shape_text(value)}" for path, value in values.items()]

    def _show(self, images: bool) -> None:
        self._images = images
        if hasattr(self._inner, "skip_images"):
            self._inner.skip_images = not images

    def _native(self, action: np.ndarray) -> Any:
        """A flat action as the environment takes it."""
        space, declared = self.env.action_space, self.declared.action
        try:
            if isinstance(declared, Mapping):
                return places.spread(action, [*map(places.parse_place, declared.values())], space)
            if type(space).__name__ != "Box":
                raise ValueError(
                    "it is no vector of numbers; wrap the environment, or give a place "
                    "of each key in a dictionary: KEY: PATH"
                )
            if len(action) != (numbers := int(np.prod(space.shape))):
                raise ValueError(f"it has {numbers} numbers, and {len(action)} are given")
        except (LookupError, ValueError) as error:
            details = [str(error).strip("'\""), f"action: {space}"]
            problem = "its action is not as declared."
            raise SimulationError(self.declared.name, problem, details) from error
        return np.clip(action.reshape(space.shape), space.low, space.high).astype(space.dtype)

    def _observed(self, raw: Any, answer: Mapping[str, Any], done: bool) -> Shown:
        """What is shown, in the data config's keys; ``answer`` has no reward after a reset."""
        self._raw = raw if isinstance(raw, Mapping) else {"observation": raw}
        problems: list[str] = []

        def read(what: str, take: Callable[..., Any], *given: Any) -> Any:
            try:
                return take(*given)
            except (LookupError, TypeError, ValueError) as error:
                problems.append(f"{what}: " + str(error).strip("'\""))

        declared = self.declared
        observation = {
            key: read(f"{key}, declared as {declared.observation[key]}", self._value, key, place)
            for key, place in self._places.items()
            if self._images or key.startswith("state.")
        }
        observation["task"] = read("instruction", self._instruction, answer)
        success, score = False, None
        if "reward" in answer:
            holds = places.parse_reading(declared.success).holds
            success = read(f"success, declared as {declared.success}", holds, answer)
            if declared.score is not None:
                value = places.parse_reading(declared.score).value
                score = read(f"score, declared as {declared.score}", value, answer)
        if problems:
            details = [*problems, "its observation has:", *(f"  {line}" for line in self.offers())]
            details.append(f"its info has: {', '.join(map(str, answer['info'])) or 'nothing'}")
            problem = "it does not show what is declared of it."
            raise SimulationError(declared.name, problem, details)
        return Shown(observation, success, score, done)

    def _value(self, key: str, place: places.Place | None) -> np.ndarray:
        if place is not None:
            if key.startswith("state."):
                return places.numbers_at(self._raw, place)
            return places.checked_image(places.item(self._raw, place.path))
        began = time.perf_counter()
        try:
            image = self.env.render()
        except Exception as error:
            raise _failed(self.declared, "it cannot draw.", error) from error
        self._rendered += time.perf_counter() - began
        if image is None:
            raise ValueError("render() returns nothing; give render_mode: rgb_array in kwargs")
        return places.checked_image(image)

    def _instruction(self, answer: Mapping[str, Any]) -> str:
        instruction = self.declared.instruction
        if not isinstance(instruction, InstructionSource):
            return instruction
        return str(places.item({**answer, "observation": self._raw}, instruction.path.split(".")))


def open_environment(environment: Environment) -> DeclaredEnv:
    """Make an environment from its declaration; ``SimulationError`` where that cannot be."""
    import gymnasium

    module, _, name = environment.id.rpartition(":")
    if not module and name not in gymnasium.registry and "/" in name:
        module = name.partition("/")[0]  # as LeRobot finds the package of an id
    try:
        if module:
            importlib.import_module(module)
    except ImportError as error:
        raise _not_installed(environment, f"module {module} does not import: {error}") from error
    except Exception as error:
        raise _failed(environment, f"module {module} cannot be imported.", error) from error
    if name not in gymnasium.registry:
        where = f"importing {module} does not register it" if module else "nothing registers it"
        hint = nearest(name, gymnasium.registry)
        found = f"Gymnasium has no environment {name}: {where}"
        raise _not_installed(environment, found + (f"; did you mean '{hint}'?" if hint else ""))
    # An episode is as long as it is declared to be, whatever its package registered.
    kwargs = {"max_episode_steps": environment.max_steps, **environment.kwargs}
    if RENDERED in environment.observation.values():
        kwargs.setdefault("render_mode", "rgb_array")
    try:
        env = gymnasium.make(name, disable_env_checker=True, **kwargs)
    except Exception as error:
        raise _failed(environment, "it cannot be opened.", error) from error
    return DeclaredEnv(environment, env)


def _not_installed(environment: Environment, found: str) -> SimulationError:
    remedy = f"install it: pip install '{environment.package}'"
    if ":" not in environment.id and "/" in environment.id:
        remedy += "; where its module has another name write id: MODULE:NAME"
    problem = f"environment {environment.id} is not installed."
    return SimulationError(environment.name, problem, [found, remedy])


def _failed(environment: Environment, problem: str, error: Exception) -> Gr00tAssetsError:
    if isinstance(error, Gr00tAssetsError):
        return error
    found = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, ImportError) or type(error).__name__ == "DependencyNotInstalled":
        return _not_installed(environment, f"it needs a package: {error}")
    if _NO_RENDERING.search("".join(traceback.format_exception(error))):
        return SimulationError(environment.name, "it cannot draw here.", [found, *RENDERING])
    details = [found, f"kwargs: {environment.kwargs}"]
    return SimulationError(environment.name, problem, details)
