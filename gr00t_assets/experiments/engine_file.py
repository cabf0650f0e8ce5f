"""The machines that experiments train on, as ``data/engines.yaml`` declares them.

Without the file there is one engine, ``local``: the slots of this machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.project import project_root
from gr00t_assets.core.text import did_you_mean, name_problem
from gr00t_assets.core.yaml_files import (
    explained_error,
    load_yaml,
    problems_error,
    shown_path,
    validated,
    validation_problems,
    yaml_problem,
)
from gr00t_assets.experiments.experiment import Experiment

LOCAL = "local"
"""The engine that is always there."""


def seconds_of(value: Any) -> Any:
    """Seconds of a time limit as Slurm writes it: ``[days-]hours:minutes:seconds``.

    YAML reads ``4:00:00`` as the number of its seconds, so that a number is taken for seconds.

    Examples:
        >>> seconds_of("1-02:00:00"), seconds_of("30:00"), seconds_of(14400)
        (93600, 1800, 14400)
    """
    if not isinstance(value, str):
        return value
    days, _, clock = value.rpartition("-")
    parts = clock.split(":")
    if len(parts) not in (2, 3) or not all(part.isdecimal() for part in [*parts, days or "0"]):
        raise explained_error(f"expected hours:minutes:seconds such as 4:00:00, found '{value}'")
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return seconds + 86_400 * int(days or 0)


class LocalEngine(FrozenModel):
    """The slots of this machine."""

    name: str = LOCAL
    kind: Literal["local"] = "local"


class RemoteEngine(FrozenModel):
    """What Slurm and Ray have in common. The store has the same path on every machine."""

    name: str = Field(description="Key of its entry, and no key inside of it")
    cpus: int = Field(default=4, ge=1, description="Processor cores of a job")
    memory_gb: float = Field(default=32, gt=0, description="Of a job, GB")
    jobs_at_once: int = Field(
        default=16, ge=1, description="Jobs that wait in its queue or run, of this project"
    )
    python: str | None = Field(
        default=None, description="Interpreter on the nodes; that of this process where left out"
    )
    setup: tuple[str, ...] = Field(default=(), description="Shell lines before it, on the node")


class SlurmEngine(RemoteEngine):
    """A partition of a Slurm cluster; jobs are submitted with ``sbatch``."""

    kind: Literal["slurm"] = Field(default="slurm", description="A Slurm cluster")
    partition: str = Field(min_length=1, description="As sinfo lists it")
    account: str | None = Field(default=None, description="Charged for it, where there are any")
    gpu_type: str | None = Field(
        default=None,
        description="As in gres.conf, --gres=gpu:TYPE:N; any if left out; none: without",
    )
    time_limit: Annotated[int, BeforeValidator(seconds_of)] = Field(
        default=4 * 3600, ge=60, description="Of one piece of a training, hours:minutes:seconds"
    )
    checkpoint_before: int = Field(
        default=120,
        ge=10,
        validate_default=True,
        description="Seconds before the limit at which a checkpoint is written",
    )
    options: tuple[str, ...] = Field(default=(), description="More options of sbatch")

    @field_validator("checkpoint_before")
    @classmethod
    def _within_limit(cls, value: int, info: ValidationInfo) -> int:
        if value >= info.data.get("time_limit", value + 1):
            raise explained_error("must be less than time_limit, else nothing is ever trained")
        return value


class RayEngine(RemoteEngine):
    """A Ray cluster; jobs are submitted to its head node."""

    kind: Literal["ray"] = Field(default="ray", description="A Ray cluster")
    address: str = Field(
        default="http://127.0.0.1:8265", pattern=r"https?://.+", description="Of its dashboard"
    )
    resources: dict[str, float] = Field(
        default_factory=dict, description="Custom resources of a job, by name"
    )
    autoscaling: bool = Field(
        default=False, description="Nodes are started on demand: what none has is waited for"
    )


EngineSettings = LocalEngine | SlurmEngine | RayEngine

_KINDS = {"local": LocalEngine, "slurm": SlurmEngine, "ray": RayEngine}


class _EngineFile(FrozenModel):
    default: str = LOCAL
    engines: dict[str, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Engines:
    """The engines by name, ``local`` among them, and the one of experiments that name none.

    ``faulty`` has those that are declared wrong: the error to raise where one is asked for; under
    ``""`` that of a file which is no YAML. ``problem`` is all that is wrong with the file.
    """

    default: str = LOCAL
    engines: Mapping[str, EngineSettings] = field(default_factory=lambda: {LOCAL: LocalEngine()})
    faulty: Mapping[str, EngineError] = field(default_factory=dict)
    problem: EngineError | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """What a sweep file may name, also of those declared wrong; None where nobody can tell."""
        return None if "" in self.faulty else (*self.engines, *self.faulty)

    @property
    def remote(self) -> tuple[SlurmEngine | RayEngine, ...]:
        """Those whose jobs do not take this machine's slots."""
        return tuple(item for item in self.engines.values() if item.kind != LOCAL)

    def named(self, name: str | None) -> EngineSettings:
        """The engine of a name, or the default one; ``EngineError``: none, or declared wrong."""
        wanted = name or self.default
        if wanted in self.engines:
            return self.engines[wanted]
        if error := self.faulty.get(wanted, self.faulty.get("")):
            raise error
        problem = f"there is no such engine in {shown_path(engines_file())}."
        raise EngineError(wanted, problem, [did_you_mean(wanted, self.engines)])


def engines_file() -> Path:
    """Where a project declares them."""
    return project_root() / "data" / "engines.yaml"


def usable_engines() -> Engines:
    """What can be used of ``data/engines.yaml``, and what is wrong with it.

    A file that is no YAML at all disables every engine but ``local``, and the default.
    """
    file = engines_file()
    if not file.is_file():
        return Engines()
    try:
        located = load_yaml(file, EngineError)
        content = validated(located, _EngineFile, EngineError)
    except EngineError as error:
        return Engines(default="", faulty={"": error}, problem=error)
    engines: dict[str, EngineSettings] = {LOCAL: LocalEngine()}
    wrong: dict[str, list[Finding]] = {}
    for name, block in content.engines.items():
        result = _engine(name, block)
        if isinstance(result, list):
            wrong[name] = result
        else:
            engines[name] = result
    if content.default not in (known := [*engines, *wrong]):
        text, hint = f"there is no engine '{content.default}'", did_you_mean(content.default, known)
        wrong[content.default] = [yaml_problem(("default",), text, hint)]
    errors = {name: problems_error(located, items, EngineError) for name, items in wrong.items()}
    faulty = {name: error for name, error in errors.items() if error}
    every = problems_error(located, chain.from_iterable(wrong.values()), EngineError)
    return Engines(content.default, engines, faulty, every)


def engine_of(experiment: Experiment) -> EngineSettings:
    """The engine that an experiment trains on; raises as ``Engines.named``."""
    return usable_engines().named(experiment.engine)


def _engine(name: str, block: dict[str, Any]) -> EngineSettings | list[Finding]:
    """The engine of an entry, or what is wrong with it."""
    where = ("engines", name)
    if problem := name_problem(name):
        return [yaml_problem(where, problem)]
    kind = block.get("kind", LOCAL if name == LOCAL else None)
    if (kind == LOCAL) != (name == LOCAL):
        text = f"'{LOCAL}' is this machine and the only engine of that kind"
        return [yaml_problem(where, text)]
    if (model := _KINDS.get(str(kind))) is None:
        text = "kind is missing" if kind is None else f"there is no kind '{kind}'"
        return [yaml_problem((*where, "kind"), text, "write slurm or ray")]
    try:
        return model.model_validate({**block, "name": name})
    except ValidationError as failure:
        return validation_problems(failure, model, where)
