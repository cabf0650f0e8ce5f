"""YAML whose every value knows its line, so that an error can point at it."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import read_limited
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.text import did_you_mean, has_lone_surrogate, nearest

Model = TypeVar("Model", bound=BaseModel)
Error = TypeVar("Error", bound=Gr00tAssetsError)

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_EXPLAINED = "explained"

LARGEST_YAML, MOST_VALUES, DEEPEST, LONGEST_NUMBER = 8 << 20, 300_000, 100, 2000
"""Of a file: bytes; values with those that aliases repeat, of which a sweep of 20,000 experiments
has fewer; levels; characters of what may be a number, of which Python prints no more than 4,300."""

VISIBLE_YAML = "[!.]*.yaml"
"""Files of a folder that are read; editors keep their own beside them, ``.#demo.yaml``."""

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


def without(problem_of: Callable[[str], str | None]) -> AfterValidator:
    """Of a field's type: a text of which ``problem_of`` says that nothing is wrong with it."""

    def checked(value: str) -> str:
        if problem := problem_of(value):
            raise explained_error(problem)
        return value

    return AfterValidator(checked)


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


def load_yaml(
    file: Path, error: type[Gr00tAssetsError], repeated: list[Finding] | None = None
) -> LocatedYaml:
    """Read a YAML file.

    Keys that one mapping names twice are added to ``repeated`` where it is given.

    Raises:
        Gr00tAssetsError: Of the type ``error``: the file is missing, is not YAML, or names one key
            twice in one mapping.
    """
    try:
        text = read_limited(file, LARGEST_YAML).decode()
    except (OSError, ValueError) as problem:
        raise error(shown_path(file), "this file cannot be read.", [str(problem)]) from problem
    lines: dict[Location, int] = {}
    twice: list[Finding] = []
    data: Any = None
    try:
        _refuse_bombs(text)
        loader = _LOADER(text)
        node = loader.get_single_node()
        if node is not None:
            _collect(node, (), lines, twice)
            data = loader.construct_document(node)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"{shown_path(file)}:{mark.line + 1}" if mark else shown_path(file)
        what = getattr(problem, "problem", None) or str(problem)
        raise error(where, "this is not YAML.", [what]) from problem
    except (ValueError, OverflowError) as problem:
        remedy = "put it in quotes where it is to be text"
        found = f"a value cannot be read: {problem}"
        raise error(shown_path(file), found, [remedy]) from problem
    located = LocatedYaml(file, data, lines)
    if repeated is None:
        raise_problems(located, twice, error)
    else:
        repeated += twice
    return located


def load_settings(
    file: Path, model: type[Model], error: type[Gr00tAssetsError], values: bool = True
) -> Model | None:
    """``validated`` content of a file; defaults where it is empty, None where it is not there."""
    return validated(load_yaml(file, error), model, error, values) if file.is_file() else None


def validated(
    located: LocatedYaml, model: type[Model], error: type[Gr00tAssetsError], values: bool = True
) -> Model:
    """The model that a YAML file's content is, else the error of ``problems_error``.

    ``values`` are as in ``validation_problems``.
    """
    content = {} if located.data is None else located.data
    if not isinstance(content, dict):
        problem = yaml_problem((), f"expected fields: {', '.join(model.model_fields)}")
        raise_problems(located, [problem], error)
    try:
        return model.model_validate(content)
    except ValidationError as failure:
        raise_problems(located, validation_problems(failure, model, values=values), error)
        raise


def _refuse_bombs(text: str) -> None:
    """Refuse what would fill memory or stack when it is read: aliases, depth, endless numbers."""
    sizes: dict[str, int | None] = {}
    opened: list[tuple[str | None, int]] = []
    count = 0
    for event in yaml.parse(text, _LOADER):
        before, problem = count, None
        if isinstance(event, yaml.CollectionStartEvent):
            count += 1
            opened.append((event.anchor, before))
            if event.anchor:
                sizes[event.anchor] = None
            if len(opened) > DEEPEST:
                problem = f"it is nested more than {DEEPEST} levels deep"
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, began = opened.pop()
            if anchor:
                sizes[anchor] = count - began
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(event.anchor, 0)
            count += size or 0
            if size is None:
                problem = f"the alias *{event.anchor} stands inside of what it repeats"
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
            if len(event.value) > LONGEST_NUMBER and event.value[0] in "+-.0123456789":
                problem = f"a number of {len(event.value):,} characters"
        if count > MOST_VALUES:
            problem = f"it has more than {MOST_VALUES:,} values, with those that aliases repeat"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def shown_path(file: Path) -> str:
    """A path as a person would type it: relative to the current folder where it is below it."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def raise_problems(
    located: LocatedYaml, problems: Iterable[Finding], error: type[Gr00tAssetsError]
) -> None:
    """Raise the error of ``problems_error``; none where there is no problem."""
    if problem := problems_error(located, problems, error):
        raise problem


def problems_error(
    located: LocatedYaml, problems: Iterable[Finding], error: type[Error]
) -> Error | None:
    """One error that lists every problem, in the order of lines; None where there is none."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: located.line(problem.location))
    file = shown_path(located.file)
    described = [
        (located.line(item.location), f"{item.subject}: {item.text}" if item.subject else item.text)
        for item in ordered
    ]
    if len(described) == 1:
        ((line, text),) = described
        return error(f"{file}:{line}", text)
    lines = [f"line {line}: {text}" for line, text in described]
    return error(file, f"{len(lines)} problems.", lines) if lines else None


def validation_problems(
    failure: ValidationError, model: type[BaseModel], prefix: Location = (), values: bool = True
) -> list[Finding]:
    """What pydantic found wrong, in words for a person, with the nearest valid field name.

    ``values`` are quoted, unless one that stands in a wrong place may be a secret.
    """
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
            is_quoted = values and not of_whole_model
            text = f"{expected}, found {item['input']!r}" if is_quoted else expected
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
            name = str(key.value)  # a list where the key is one, which is refused later
            inner = (*location, name)
            lines[inner] = key.start_mark.line + 1
            if name in seen:
                repeated.append(yaml_problem(inner, "is given twice"))
            seen.add(name)
            _collect(value, inner, lines, repeated)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*location, index), lines, repeated)
    elif has_lone_surrogate(node.value):
        remedy = "put the character itself in its place"
        repeated.append(yaml_problem(location, "has half of a surrogate pair", remedy))
