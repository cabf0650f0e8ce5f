"""From a sweep file to its experiments: the list, the grid, the samples, each once a seed.

Every draw is a function of the seed, its number and the hyperparameter's name alone: raising the
count, or adding an experiment or a hyperparameter, leaves the samples before as they were.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from gr00t_assets.core.finding import Finding
from gr00t_assets.core.text import did_you_mean, short_number
from gr00t_assets.core.yaml_files import Location, yaml_problem
from gr00t_assets.experiments.experiment import Experiment, settings_of_trainer
from gr00t_assets.experiments.sweep_file import (
    DIGITS,
    Choice,
    Distribution,
    Entry,
    Pattern,
    SweepFile,
)

INDEX = "index"
"""What counts the samples in a name."""

MOST_SEEDS = 5
"""Of one configuration: what five cannot show is too small to be worth more."""

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_QUEUE = {"priority", "vram_gb", "engine"}
_OF_CONTINUED = {
    "name", "continue_from", "hypothesis", "tags", "report_to", "hyperparameters", *_QUEUE,
}  # fmt: skip
"""What an entry with ``continue_from`` may say; the rest is that of the other experiment."""


@dataclass(frozen=True)
class PlacedExperiment:
    """An experiment, what its entry says besides the defaults, and where that entry stands.

    ``refused`` names settings that its trainer does not have and that would have an effect.
    """

    experiment: Experiment
    entry: Entry
    location: Location
    refused: tuple[str, ...] = ()


def all_entries(content: SweepFile) -> Iterator[tuple[Location, Entry]]:
    """The entries of a file and those made from its patterns; only for values without problems."""
    for index, entry in enumerate(content.experiments):
        yield ("experiments", index), entry
    if grid := content.grid:
        for values in itertools.product(*grid.hyperparameters.values()):
            settings = dict(zip(grid.hyperparameters, values, strict=True))
            yield ("grid",), _from_pattern(grid, settings, {})
    if block := content.random:
        choices = block.hyperparameters
        drawn = [name for name, choice in choices.items() if isinstance(choice, Distribution)]
        for index, settings in enumerate(samples(choices, block.count, block.seed), start=1):
            shortened = {name: short_value(settings[name]) for name in drawn}
            yield ("random",), _from_pattern(block, settings, shortened | {INDEX: f"{index:03d}"})


def expand(
    content: SweepFile, entries: Iterable[tuple[Location, Entry]], sweep: str
) -> tuple[list[PlacedExperiment], list[Finding]]:
    """Every experiment of a file, and what is wrong with those that continue another one."""
    experiments: list[PlacedExperiment] = []
    problems: list[Finding] = []
    for location, entry in entries:
        for seed in content.seeds or (None,):
            try:
                experiments.append(_complete(entry, location, content, sweep, seed))
            except ValidationError as failure:
                texts = dict.fromkeys(item["msg"] for item in failure.errors())
                problems += [yaml_problem(location, f"'{entry.name}': {text}") for text in texts]
    by_name = {item.experiment.name: item for item in experiments}
    continued = [_with_continued(item, by_name, (), problems) for item in experiments]
    return continued, problems


def filled(pattern: str, values: Mapping[str, str]) -> str:
    """A pattern with each placeholder replaced; what is none stays.

    Examples:
        >>> filled("b{batch_size} {x}", {"batch_size": "8"})
        'b8 {x}'
    """
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), pattern)


def samples(choices: Mapping[str, Choice], count: int, seed: int) -> list[dict[str, Any]]:
    """Different samples of hyperparameters, in an order that depends on nothing but the seed.

    At most ``count``; fewer where the choices have no more combinations.
    """
    points: dict[str, dict[str, Any]] = {}
    number = missed = 0
    while len(points) < count and missed <= 1000 + 50 * count:
        point = {name: _drawn(choice, name, number, seed) for name, choice in choices.items()}
        missed = missed + 1 if repr(point) in points else 0
        points.setdefault(repr(point), point)
        number += 1
    return list(points.values())


def _drawn(choice: Choice, name: str, number: int, seed: int) -> Any:
    """What a choice gives for a random number in [0, 1).

    It comes from the bits of PCG64 and not from a Generator: numpy keeps the first the same for
    ever and not the second (NEP 19), and a sample that changes is an experiment to train again.
    """
    import numpy as np

    entropy = [seed, number, int.from_bytes(name.encode(), "big")]
    share = int(np.random.PCG64(np.random.SeedSequence(entropy)).random_raw() >> 11) / 2**53
    if isinstance(choice, Distribution):
        return choice.value(share)
    return choice[min(len(choice) - 1, math.floor(share * len(choice)))]


def short_value(value: float | int) -> str:
    """A drawn number as it stands in a name.

    Examples:
        >>> short_value(0.000123), short_value(0.05), short_value(8)
        ('1.23e-4', '0.05', '8')
    """
    return str(value) if isinstance(value, int) else short_number(value, DIGITS)


def _from_pattern(block: Pattern, settings: dict[str, Any], shown: dict[str, str]) -> Entry:
    """The entry of some values; in texts they stand as in the file, or as ``shown``."""
    placeholders = {name: str(value).lower() for name, value in settings.items()} | shown
    name = filled(block.name, placeholders)
    hypothesis = block.hypotheses.get(name, block.hypothesis)
    return Entry(
        name=name,
        hypothesis=None if hypothesis is None else filled(hypothesis, placeholders),
        tags=tuple(filled(tag, placeholders) for tag in block.tags),
        hyperparameters=settings,
        **block.model_dump(include=_QUEUE, exclude_unset=True),
    )


def _complete(
    entry: Entry, location: Location, content: SweepFile, sweep: str, seed: int | None
) -> PlacedExperiment:
    defaults = content.defaults
    trainer = entry.trainer or defaults.trainer
    settings = defaults.hyperparameters | entry.hyperparameters
    if seed is not None:
        settings["seed"] = seed
    taken, refused = settings_of_trainer(trainer, settings)
    queue = defaults.model_dump(include=_QUEUE, exclude_unset=True)
    queue |= entry.model_dump(include=_QUEUE, exclude_unset=True)
    # Set only where a file states it: the printed command has what is stated.
    report = defaults.model_dump(include={"report_to"}, exclude_unset=True)
    report |= entry.model_dump(include={"report_to"}, exclude_none=True)
    own_model = entry.base_model is not None
    experiment = Experiment(
        name=entry.name if seed is None else f"{entry.name}-seed{seed}",
        sweep=sweep,
        dataset=entry.dataset or defaults.dataset or "",
        trainer=trainer,
        base_model=entry.base_model or defaults.base_model,
        base_model_revision=entry.base_model_revision
        or (None if own_model else defaults.base_model_revision),
        hyperparameters=taken,  # type: ignore[arg-type]
        hypothesis=defaults.hypothesis if entry.hypothesis is None else entry.hypothesis,
        tags=tuple(dict.fromkeys((*content.tags, *defaults.tags, *entry.tags))),
        priority=queue.get("priority") or 0,
        vram_gb=queue.get("vram_gb"),
        engine=queue.get("engine"),
        pruning=content.pruning,
        **report,
    )
    return PlacedExperiment(experiment, entry, location, tuple(refused))


def _with_continued(
    item: PlacedExperiment,
    by_name: Mapping[str, PlacedExperiment],
    before: Sequence[str],
    problems: list[Finding],
) -> PlacedExperiment:
    """An experiment that continues another one with what that one says."""
    own, entry = item.experiment, item.entry
    if entry.continue_from is None:
        return item
    where = (*item.location, "continue_from")
    name = entry.continue_from + own.name.removeprefix(entry.name)
    if name not in by_name:
        text = f"no experiment '{entry.continue_from}' in this file"
        problems.append(yaml_problem(where, text, did_you_mean(entry.continue_from, by_name)))
        return item
    if name in (*before, own.name):
        problems.append(yaml_problem(where, f"'{own.name}' continues itself"))
        return item
    source = _with_continued(by_name[name], by_name, (*before, own.name), []).experiment
    problems += _continuation_problems(item, source, where)
    settings = source.hyperparameters
    changes = {
        "name": own.name,
        "hypothesis": own.hypothesis,
        "tags": own.tags,
        "continue_from": name,
        "continued_steps": (*source.continued_steps, settings.max_steps),
        "hyperparameters": settings.model_copy(update={"max_steps": own.hyperparameters.max_steps}),
    }
    stated = {*_QUEUE, "report_to"} & entry.model_fields_set
    changes |= {field: getattr(own, field) for field in stated}
    return replace(item, experiment=source.model_copy(update=changes))


def _continuation_problems(
    item: PlacedExperiment, source: Experiment, where: Location
) -> Iterator[Finding]:
    own = sorted(item.entry.model_fields_set - _OF_CONTINUED)
    own += sorted(set(item.entry.hyperparameters) - {"max_steps"})
    for name in own:
        text = f"{name} is that of '{source.name}': only max_steps can be another"
        yield yaml_problem(where, text)
    steps, asked = source.hyperparameters.max_steps, item.experiment.hyperparameters.max_steps
    if "max_steps" not in item.entry.hyperparameters:
        text = f"give max_steps: '{source.name}' has {steps}, this one needs more"
        yield yaml_problem(where, text)
    elif asked <= steps:
        text = f"max_steps {asked} is not more than the {steps} of '{source.name}'"
        yield yaml_problem((*item.location, "hyperparameters", "max_steps"), text)


def further_experiments(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Every experiment with each seed that it does not have, from 1 to ``MOST_SEEDS``.

    Seeds that several configurations have in the file are among them. What goes on from another
    experiment has the seed of that one and no other.
    """
    own: dict[str, tuple[Experiment, set[int]]] = {}
    for item in experiments:
        if item.continue_from is None:
            settings = item.hyperparameters.model_copy(update={"seed": 0})
            alike = item.model_copy(update={"hyperparameters": settings})
            key = alike.model_dump_json(exclude={"name", "hypothesis", "tags", "priority"})
            own.setdefault(key, (item, set()))[1].add(item.hyperparameters.seed)
    counts = Counter(seed for _, seeds in own.values() for seed in seeds)
    common = {seed for seed, count in counts.items() if count > 1}
    further = []
    for first, seeds in own.values():
        name = first.name.removesuffix(f"-seed{first.hyperparameters.seed}")
        for seed in sorted({*range(1, MOST_SEEDS + 1), *common} - seeds):
            settings = first.hyperparameters.model_copy(update={"seed": seed})
            changes = {"name": f"{name}-seed{seed}", "hyperparameters": settings}
            further.append(first.model_copy(update=changes))
    return further
