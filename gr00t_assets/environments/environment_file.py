"""Environments that policies are rolled out in, as YAML declares them.

The built-in ones are in ``environments.yaml`` beside this module; a project has its own in
``data/environments.yaml``, where one may take the name of a built-in one and so replaces it.
"""

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from gr00t_assets.core.errors import SimulationError
from gr00t_assets.core.files import FrozenModel, json_hash
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.project import project_root
from gr00t_assets.core.text import did_you_mean, name_problem
from gr00t_assets.core.yaml_files import (
    load_yaml,
    problems_error,
    raise_problems,
    validation_problems,
    yaml_problem,
)
from gr00t_assets.environments.places import Reading, parse_place, parse_reading

BUILT_IN = Path(__file__).with_name("environments.yaml")

RENDERED = "render()"
"""Source of an image: what ``env.render()`` returns, for environments that observe no image."""

_OBSERVATION_KEY = re.compile(r"(video|state)\.[A-Za-z0-9_]+")
_ID = re.compile(r"([A-Za-z_][\w.]*:)?([\w-]+/)?[\w.-]+(-v\d+)?")


def _checked_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("expected a Gymnasium id such as gym_pusht/PushT-v0 or module:Name-v0")
    return value


def _checked_observation(value: dict[str, str]) -> dict[str, str]:
    for key, source in value.items():
        if not _OBSERVATION_KEY.fullmatch(key):
            raise ValueError(f"expected keys like video.front and state.gripper, found {key!r}")
        if source != RENDERED:
            parse_place(source)
        elif not key.startswith("video."):
            raise ValueError(f"{RENDERED} gives an image, and {key} is none")
    return value


def _checked_action(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: str(source) for key, source in value.items() if parse_place(str(source))}
    if isinstance(value, list | tuple) and len(set(map(str, value))) < len(value):
        raise ValueError("a key is named twice")
    return value


class InstructionSource(FrozenModel):
    """Where an environment says its task itself."""

    path: str = Field(alias="from", pattern=r"(info|observation)(\.[A-Za-z0-9_-]+)+")


class Environment(FrozenModel):
    """How to open one Gymnasium environment, and what its observations and actions mean.

    Keys are those of the data config with their modality: ``video.front``, ``state.gripper``.
    """

    name: str
    description: str = Field(min_length=1, description="What is done in it")
    id: Annotated[str, AfterValidator(_checked_id)] = Field(
        description="Gymnasium id; module:id imports the module that registers it"
    )
    package: str = Field(description="What pip installs where it does not import")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Of gymnasium.make")
    observation: Annotated[dict[str, str], AfterValidator(_checked_observation)] = Field(
        min_length=1, description="Of each key the place in the environment's observation"
    )
    action: Annotated[tuple[str, ...] | dict[str, str], BeforeValidator(_checked_action)] = Field(
        min_length=1,
        description="Action keys in the order of the environment's action vector; or the place of "
        "each in its dictionary",
    )
    names: tuple[str, ...] = Field(
        default=(), description="Of the action's numbers, where the environment has no joint_names"
    )
    instruction: str | InstructionSource = Field(
        description="The task's text; or {from: info.NAME}, {from: observation.NAME}"
    )
    success: str = Field(description="info.NAME, terminated, or a comparison: reward >= 1")
    score: str | None = Field(default=None, description="info.NAME or reward: progress from 0 to 1")
    max_steps: int = Field(ge=1, le=100_000, description="After which an episode has failed")
    fps: float = Field(gt=0, description="Steps in a second, as in the demonstrations")
    seeds: int = Field(default=1000, ge=0, description="First seed of evaluation; others follow")
    episodes: int = Field(default=50, ge=1, le=10_000, description="Of an evaluation")
    replan_every: int | None = Field(
        default=None, ge=1, description="Actions of a chunk that are done before the next is asked"
    )
    episode_seconds: float = Field(
        default=120.0, gt=0, description="Wall time after which an episode counts as failed"
    )

    @field_validator("success", "score")
    @classmethod
    def _checked_reading(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        reading = parse_reading(value)
        if info.field_name == "score" and reading.operator is not None:
            raise ValueError("a score is a number and no comparison: info.progress")
        if info.field_name == "success" and reading == Reading(("reward",)):
            raise ValueError("say from which reward on it is a success: reward >= 1")
        return value

    def content_hash(self) -> str:
        """First 16 hex digits of a SHA-256 over what decides an episode, given its seed."""
        decides = {"id", "kwargs", "observation", "action", "instruction"}
        decides |= {"success", "score", "max_steps", "fps"}
        return json_hash(self.model_dump(mode="json", include=decides), 16)

    def package_version(self) -> str | None:
        """Of its package, where that is installed."""
        try:
            return version(re.split(r"[\[<>=!~; ]", self.package)[0])
        except (PackageNotFoundError, ValueError):
            return None

    @property
    def cameras(self) -> tuple[str, ...]:
        """Camera keys: ``front``."""
        return self._keys("video.")

    @property
    def state_keys(self) -> tuple[str, ...]:
        """State keys: ``single_arm``."""
        return self._keys("state.")

    @property
    def action_keys(self) -> tuple[str, ...]:
        """Action keys, in the order of the flat action."""
        return tuple(self.action)

    def _keys(self, modality: str) -> tuple[str, ...]:
        named = (key for key in self.observation if key.startswith(modality))
        return tuple(key.removeprefix(modality) for key in named)


class Environments(dict[str, Environment]):
    """Environments that can be used, by name; ``errors`` of others, and all of them in one."""

    def __init__(
        self,
        usable: Mapping[str, Environment],
        errors: Mapping[str, SimulationError],
        problem: SimulationError | None = None,
    ) -> None:
        super().__init__(usable)
        self.errors, self.problem = errors, problem

    def problem_of(self, name: str) -> str | None:
        """Why nothing of a name is declared, with the nearest; None where it is, well or not.

        None as well where the file is no YAML: nobody knows what it declares.
        """
        unreadable = self.problem is not None and not self.errors
        if name in self or name in self.errors or unreadable:
            return None
        return f"there is no environment '{name}'; {did_you_mean(name, self)}"

    def get(self, name: str) -> Environment:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The environment of a name; ``SimulationError`` where it is not there or not usable."""
        if name in self.errors:
            raise self.errors[name]
        if name not in self:
            details = [did_you_mean(name, self)]
            if self.problem is not None:
                details.append(f"{self.problem.subject} has problems, and may have it")
            raise SimulationError(name, "no environment of this name is declared.", details)
        return self[name]


def environments_file() -> Path:
    """The file of the project's own environments, which need not be there."""
    return project_root() / "data" / "environments.yaml"


def load_environments(path: Path | None = None) -> Environments:
    """Read the built-in environments and those of a project, ``data/environments.yaml``.

    A fault of the project's file disables what it is in and nothing else.
    """
    built_in = _read(BUILT_IN)
    own = path or environments_file()
    if not own.is_file():
        return built_in
    declared = _read(own)
    kept = {name: item for name, item in built_in.items() if name not in declared.errors}
    return Environments({**kept, **declared}, declared.errors, declared.problem)


def _read(file: Path) -> Environments:
    try:
        located = load_yaml(file, SimulationError)
        content = {} if located.data is None else located.data
        if not isinstance(content, dict):
            problem = yaml_problem((), "expected environments by name")
            raise_problems(located, [problem], SimulationError)
    except SimulationError as error:
        return Environments({}, {}, error)
    read = {str(key): _environment(str(key), value) for key, value in content.items()}
    every = [problem for _, problems in read.values() for problem in problems]
    errors = {
        name: error
        for name, (_, problems) in read.items()
        if (error := problems_error(located, problems, SimulationError))
    }
    usable = {name: item for name, (item, _) in read.items() if item and name not in errors}
    return Environments(usable, errors, problems_error(located, every, SimulationError))


def _environment(name: str, value: Any) -> tuple[Environment | None, list[Finding]]:
    """The environment, where it is one, and what is wrong with it."""
    problems = [yaml_problem((name,), problem)] if (problem := name_problem(name)) else []
    if not isinstance(value, dict):
        return None, [*problems, yaml_problem((name,), "expected the fields of an environment")]
    fields = {str(field): content for field, content in value.items()}
    if fields.pop("name", None) is not None:
        problems.append(yaml_problem((name, "name"), "the name is the key above; remove this line"))
    try:
        return Environment.model_validate({**fields, "name": name}), problems
    except ValidationError as failure:
        return None, [*problems, *validation_problems(failure, Environment, (name,))]
