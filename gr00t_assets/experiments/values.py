"""Whether the hyperparameters of a sweep file exist and have values that they can have."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import ValidationError

from gr00t_assets.core.names import did_you_mean
from gr00t_assets.core.yaml_files import Location, Problem, validation_problems
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.random_samples import DISTRIBUTIONS, Distribution
from gr00t_assets.experiments.sweep_file import Entry, SweepFile

_FIELDS = Hyperparameters.model_fields


def hyperparameter_problems(content: SweepFile) -> list[Problem]:
    """Unknown names and wrong values, each at the place where it is written."""
    blocks: list[tuple[Location, dict[str, Any]]] = [
        (("defaults", "hyperparameters"), content.defaults.hyperparameters)
    ]
    for index, entry in enumerate(content.experiments):
        blocks.append((("experiments", index, "hyperparameters"), entry.hyperparameters))
    problems = [problem for prefix, block in blocks for problem in _check(block, prefix)]
    if content.grid is not None:
        for name, values in content.grid.hyperparameters.items():
            problems += _listed(name, values, ("grid", "hyperparameters", name))
    if content.random is not None:
        for name, values in content.random.hyperparameters.items():
            problems += _sampled(name, values, ("random", "hyperparameters", name))
    for index, seed in enumerate(content.seeds):
        found = _check({"seed": seed}, ())
        problems += [Problem(("seeds", index), item.message) for item in found]
    return problems


def misplaced(problems: list[Problem]) -> list[Problem]:
    """The same problems; a field that is known in another place is answered with that place."""
    return [Problem(item.location, _place(item) or item.message) for item in problems]


def _place(problem: Problem) -> str | None:
    if not problem.message.startswith("unknown field") or not problem.location:
        return None
    name, above = str(problem.location[-1]), problem.location[-2:-1]
    if name == "gpus":
        return "unknown field; the number of GPUs is the hyperparameter num_gpus"
    if above == ("hyperparameters",) and name in Entry.model_fields:
        return "is no hyperparameter: put it one level up, beside hyperparameters"
    if above != ("hyperparameters",) and name in _FIELDS:
        return "is a hyperparameter: put it under hyperparameters"
    return None


def _check(block: dict[str, Any], prefix: Location) -> list[Problem]:
    try:
        Hyperparameters.model_validate(block)
    except ValidationError as failure:
        return misplaced(validation_problems(failure, Hyperparameters, prefix))
    return []


def _listed(name: str, values: list[Any], where: Location) -> Iterator[Problem]:
    if not values:
        yield Problem(where, "has no values")
    elif name not in _FIELDS:
        yield from _check({name: values[0]}, where[:-1])
    else:
        for index, value in enumerate(values):
            for found in _check({name: value}, where[:-1]):
                yield Problem((*where, index), found.message)


def _sampled(name: str, values: Any, where: Location) -> list[Problem]:
    if isinstance(values, list):
        return list(_listed(name, values, where))
    if not isinstance(values, dict):
        text = f"expected a list of values, or distribution, low and high; found {values!r}"
        return [Problem(where, text)]
    if name not in _FIELDS:
        return _check({name: None}, where[:-1])
    kind = values.get("distribution")
    if kind is not None and kind not in DISTRIBUTIONS:
        hint = did_you_mean(str(kind), DISTRIBUTIONS)
        return [Problem((*where, "distribution"), f"unknown distribution '{kind}'; {hint}")]
    try:
        drawn = Distribution.model_validate(values)
    except ValidationError as failure:
        return validation_problems(failure, Distribution, where)
    if problem := drawn.problem:
        return [Problem((*where, problem[0]), problem[1])]
    if problem := _wrong_kind(name, drawn):
        return [Problem((*where, "distribution"), problem)]
    return [
        Problem((*where, bound), found.message)
        for bound in ("low", "high")
        for found in _check({name: _bound(drawn, bound)}, where[:-1])
    ]


def _wrong_kind(name: str, drawn: Distribution) -> str | None:
    annotation = _FIELDS[name].annotation
    if annotation is int:
        whole = drawn.distribution == "int_uniform"
        return None if whole else f"{name} is a whole number: use int_uniform or a list"
    if annotation is float:
        return None
    known = [str(value).lower() for value in get_args(annotation) or (False, True)]
    return f"{name} is no number: give a list of {', '.join(known)}"


def _bound(drawn: Distribution, name: str) -> float | int:
    value = getattr(drawn, name)
    return int(value) if drawn.distribution == "int_uniform" else value
