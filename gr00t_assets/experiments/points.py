"""From the grid and the random samples of a sweep file to named points, and their problems."""

import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gr00t_assets.core.names import did_you_mean
from gr00t_assets.core.yaml_files import Location, Problem
from gr00t_assets.experiments.random_samples import Choice, Distribution, samples, short_value
from gr00t_assets.experiments.sweep_file import Entry, Points, SweepFile

INDEX = "index"
"""What counts the samples in a name."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Point:
    """One experiment of a grid or of random samples.

    Attributes:
        block: ``grid`` or ``random``.
        entry: What it says as an experiment; its hyperparameters are its values.
    """

    block: str
    entry: Entry


def points(content: SweepFile) -> list[Point]:
    """Every point of a file, the grid before the samples; only for values without problems."""
    return [*_grid(content), *_random(content)]


def _grid(content: SweepFile) -> Iterator[Point]:
    if content.grid is None:
        return
    names = list(content.grid.hyperparameters)
    for values in itertools.product(*content.grid.hyperparameters.values()):
        point = dict(zip(names, values, strict=True))
        yield _point("grid", content.grid, point, _written(point))


def _random(content: SweepFile) -> Iterator[Point]:
    block = content.random
    if block is None:
        return
    drawn = choices(content)
    for index, point in enumerate(samples(drawn, block.count, block.seed), start=1):
        words = _written(point) | {
            name: short_value(point[name])
            for name, choice in drawn.items()
            if isinstance(choice, Distribution)
        }
        yield _point("random", block, point, {**words, INDEX: f"{index:03d}"})


def _written(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as they are written in the file."""
    return {name: str(value).lower() for name, value in values.items()}


def choices(content: SweepFile) -> dict[str, Choice]:
    """What the samples of a file are drawn from, by hyperparameter."""
    drawn = content.random.hyperparameters if content.random else {}
    return {
        name: values if isinstance(values, list) else Distribution.model_validate(values)
        for name, values in drawn.items()
    }


def _point(
    name: str, block: Points, values: dict[str, Any], placeholders: Mapping[str, str]
) -> Point:
    named = filled(block.name, placeholders)
    said = block.hypotheses.get(named, block.hypothesis)
    stated = {field: getattr(block, field) for field in ("priority", "vram_gb")}
    entry = Entry(
        name=named,
        hypothesis=None if said is None else filled(said, placeholders),
        tags=tuple(filled(tag, placeholders) for tag in block.tags),
        hyperparameters=values,
        **{field: value for field, value in stated.items() if field in block.model_fields_set},
    )
    return Point(name, entry)


def filled(pattern: str, words: Mapping[str, str]) -> str:
    """A pattern with each placeholder replaced; what is none stays.

    Example:
        >>> filled("b{batch_size} {x}", {"batch_size": "8"})
        'b8 {x}'
    """
    return _PLACEHOLDER.sub(lambda match: words.get(match[1], match[0]), pattern)


def pattern_problems(content: SweepFile) -> list[Problem]:
    """Placeholders of names that stand for nothing."""
    problems = []
    for block, known in _blocks(content):
        pattern = getattr(content, block).name
        for found in dict.fromkeys(_PLACEHOLDER.findall(pattern)):
            if found not in known:
                message = f"'{{{found}}}' stands for nothing; {did_you_mean(found, known)}"
                problems.append(Problem((block, "name"), message))
    return problems


def point_problems(content: SweepFile, made: Collection[Point]) -> list[Problem]:
    """Samples that there are not, and hypotheses of experiments that there are not."""
    problems = []
    if content.random is not None:
        drawn = sum(point.block == "random" for point in made)
        if drawn < content.random.count:
            message = f"asks for {content.random.count}, and there are only {drawn} combinations"
            problems.append(Problem(("random", "count"), message))
    for block, _ in _blocks(content):
        names = [point.entry.name for point in made if point.block == block]
        for named in getattr(content, block).hypotheses:
            if named not in names:
                where: Location = (block, "hypotheses", named)
                message = f"no experiment '{named}' here; {did_you_mean(named, names)}"
                problems.append(Problem(where, message))
    return problems


def _blocks(content: SweepFile) -> Iterator[tuple[str, list[str]]]:
    """The blocks that a file has, with what their names may hold."""
    if content.grid is not None:
        yield "grid", list(content.grid.hyperparameters)
    if content.random is not None:
        yield "random", [INDEX, *content.random.hyperparameters]
