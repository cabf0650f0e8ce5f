"""YAML whose every value knows its line, so that an error can point at it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.names import did_you_mean, nearest

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_EXPLAINED = "explained"

Location = tuple[str | int, ...]
"""Path to a value inside the file: ``("experiments", 0, "hyperparameters", "seed")``."""


@dataclass(frozen=True)
class LocatedYaml:
    """The content of a YAML file, None for an empty one, and the line of each value, from 1."""

    file: Path
    data: Any
    lines: Mapping[Location, int]

    def line(self, location: Location) -> int:
        """Line of a value, or of the nearest enclosing value that stands in the file."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def explained_error(message: str) -> PydanticCustomError:
    """What a validator raises whose message needs no value beside it."""
    return PydanticCustomError(_EXPLAINED, "{message}", {"message": message})


def yaml_problem(location: Location, found: str, remedy: str = "") -> Finding:
    """What is wrong with a value of a YAML file; the empty location is the whole file."""
    return Finding(
        severity="error",
        code="yaml-value",
        subject=dotted(location) or None,
        found=found,
        remedy=remedy,
        location=location,
    )


def moved(problem: Finding, location: Location) -> Finding:
    """The same problem, of the value at another place of the file."""
    place = {"location": location, "subject": dotted(location) or None}
    return problem.model_copy(update=place)


def load_yaml(file: Path, error: type[Gr00tAssetsError]) -> LocatedYaml:
    """Read a YAML file.

    Raises:
        Gr00tAssetsError: Of the type ``error``: the file is missing, is not YAML, or names one key
            twice in one mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise error(shown_path(file), "this file cannot be read.", [str(problem)]) from problem
    lines: dict[Location, int] = {}
    repeated: list[Finding] = []
    data: Any = None
    try:
        loader = _LOADER(text)
        node = loader.get_single_node()
        if node is not None:
            _collect(node, (), lines, repeated)
            data = loader.construct_document(node)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"{shown_path(file)}:{mark.line + 1}" if mark else shown_path(file)
        what = getattr(problem, "problem", None) or str(problem)
        raise error(where, "this is not YAML.", [what]) from problem
    located = LocatedYaml(file, data, lines)
    raise_problems(located, repeated, error)
    return located


def shown_path(file: Path) -> str:
    """A path as a person would type it: relative to the current folder where it is below it."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def raise_problems(
    located: LocatedYaml, problems: Iterable[Finding], error: type[Gr00tAssetsError]
) -> None:
    """Raise one error that lists every problem, in the order of lines; none where there is none."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: located.line(problem.location))
    file = shown_path(located.file)
    described = [
        (located.line(item.location), f"{item.subject}: {item.text}" if item.subject else item.text)
        for item in ordered
    ]
    if len(described) == 1:
        ((line, text),) = described
        raise error(f"{file}:{line}", text)
    if described:
        lines = [f"line {line}: {text}" for line, text in described]
        raise error(file, f"{len(lines)} problems.", lines)


def validation_problems(
    failure: ValidationError, model: type[BaseModel], prefix: Location = ()
) -> list[Finding]:
    """What pydantic found wrong, in words for a person, with the nearest valid field name."""
    problems = []
    for item in failure.errors():
        location, remedy = tuple(item["loc"]), ""
        if item["type"] == "extra_forbidden":
            text = "unknown field"
            remedy = did_you_mean(str(location[-1]), _fields_at(model, location[:-1]))
        elif item["type"] == "missing":
            text = "is missing"
        elif item["type"] == _EXPLAINED:
            text = item["msg"]
        else:
            expected = item["msg"].removeprefix("Value error, ")
            of_whole_model = isinstance(item["input"], dict) and not item["type"].endswith("_type")
            text = expected if of_whole_model else f"{expected}, found {item['input']!r}"
        if item["type"] == "literal_error":
            choices = re.findall(r"'([^']*)'", item.get("ctx", {}).get("expected", ""))
            close = nearest(str(item["input"]), choices)
            remedy = f"did you mean '{close}'?" if close else ""
        problems.append(yaml_problem((*prefix, *location), text, remedy))
    return problems


def _fields_at(model: type[BaseModel], location: Location) -> list[str]:
    """Field names of the model that stands at ``location`` inside ``model``."""
    for part in location:
        if field := model.model_fields.get(str(part)):
            model = _model_in(field.annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside ``Model``, ``Model | None``, ``tuple[Model, ...]`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def dotted(location: Location) -> str:
    """A place of a file as people write it.

    Examples:
        >>> dotted(("experiments", 0, "name"))
        'experiments[0].name'
    """
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _collect(
    node: yaml.Node, location: Location, lines: dict[Location, int], repeated: list[Finding]
) -> None:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            inner = (*location, str(key.value))
            lines[inner] = key.start_mark.line + 1
            if key.value in seen:
                repeated.append(yaml_problem(inner, "is given twice"))
            seen.add(key.value)
            _collect(value, inner, lines, repeated)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*location, index), lines, repeated)
