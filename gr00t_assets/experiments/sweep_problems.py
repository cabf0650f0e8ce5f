"""What is wrong with a sweep file, each problem at the place where the file states it."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from gr00t_assets.core.finding import Finding
from gr00t_assets.core.text import did_you_mean, name_problem
from gr00t_assets.core.yaml_files import (
    LocatedYaml,
    Location,
    moved,
    validation_problems,
    yaml_problem,
)
from gr00t_assets.datasets.catalog import dataset_problem
from gr00t_assets.experiments.expansion import (
    INDEX,
    PLACEHOLDER,
    PlacedExperiment,
    further_experiments,
)
from gr00t_assets.experiments.experiment import DATASET_FORMS, Experiment
from gr00t_assets.experiments.registry import (
    all_hyperparameters,
    combined_hyperparameters,
    hyperparameters_model,
    trainer_named,
    trainer_names,
)
from gr00t_assets.experiments.sweep_file import (
    BEST,
    CHOICE_FORMS,
    MOST_EXPERIMENTS,
    Choice,
    Distribution,
    Entry,
    Grid,
    Random,
    SweepFile,
)

_FORMS = (*DATASET_FORMS, *CHOICE_FORMS)


def field_problems(failure: ValidationError) -> list[Finding]:
    """What keeps a file from being a sweep file; a field in a wrong place is told the right one."""
    return [
        _misplaced(moved(item, tuple(part for part in item.location if part not in _FORMS)))
        for item in validation_problems(failure, SweepFile)
    ]


def value_problems(content: SweepFile) -> list[Finding]:
    """Wrong hyperparameters and placeholders, and more experiments than anybody trains."""
    problems = _checked(content.defaults.hyperparameters, ("defaults", "hyperparameters"))
    for index, entry in enumerate(content.experiments):
        problems += _checked(entry.hyperparameters, ("experiments", index, "hyperparameters"))
    for place, block, placeholders in _pattern_blocks(content):
        for name, choice in block.hyperparameters.items():
            problems += _sampled(name, choice, (place, "hyperparameters", name))
        for name in dict.fromkeys(PLACEHOLDER.findall(block.name)):
            if name not in placeholders:
                text, hint = f"'{{{name}}}' stands for nothing", did_you_mean(name, placeholders)
                problems.append(yaml_problem((place, "name"), text, hint))
    for index, seed in enumerate(content.seeds):
        problems += [moved(item, ("seeds", index)) for item in _checked({"seed": seed}, ())]
    grid = content.grid.hyperparameters.values() if content.grid else ((),)
    count = math.prod(map(len, grid)) * max(1, len(content.seeds))
    if count > MOST_EXPERIMENTS:
        text = f"gives {count:,} experiments with its seeds, at most {MOST_EXPERIMENTS:,}"
        problems.append(yaml_problem(("grid",), text))
    return problems


def entry_problems(
    content: SweepFile, entries: Sequence[tuple[Location, Entry]]
) -> Iterator[Finding]:
    """Samples that there are not, and hypotheses of experiments that there are not."""
    for place, block, _ in _pattern_blocks(content):
        names = [entry.name for location, entry in entries if location == (place,)]
        if isinstance(block, Random) and len(names) < block.count:
            text = f"asks for {block.count}, and there are only {len(names)} combinations"
            yield yaml_problem((place, "count"), text)
        for name in block.hypotheses:
            if name not in names:
                text, hint = f"no experiment '{name}' here", did_you_mean(name, names)
                yield yaml_problem((place, "hypotheses", name), text, hint)


def experiment_problems(
    experiments: Sequence[PlacedExperiment],
    content: SweepFile,
    datasets: Collection[str],
    engines: Collection[str] | None,
    located: LocatedYaml,
) -> list[Finding]:
    """What is wrong with names, datasets, engines and ``until``; what trainers do not take."""
    if not experiments:
        return [yaml_problem((), "no experiments: give 'experiments', 'grid' or 'random'")]
    problems = []
    for item in experiments:
        problems += name_problems(item.experiment.name, (*item.location, "name"))
        problems += _dataset_problems(item, content, datasets, located)
        engine = item.experiment.engine
        if engine is not None and engines is not None and engine not in engines:
            text = f"there is no engine '{engine}' in data/engines.yaml"
            where, hint = _stated_at(item, "engine", content), did_you_mean(engine, engines)
            problems.append(yaml_problem(where, text, hint))
        if item.experiment.continue_from is None:
            problems += _trainer_limits(item, content)
    problems += _repeated_names(experiments, located)
    if content.until:
        own = [item.experiment for item in experiments]
        problems += _until_problems(content.until.question, own)
    return problems


def _until_problems(question: str, experiments: Sequence[Experiment]) -> Iterator[Finding]:
    """A question that these experiments do not ask, and names of later rounds that are taken."""
    differs = [
        name
        for name, value in experiments[0].hyperparameters.model_dump().items()
        if any(getattr(item.hyperparameters, name, value) != value for item in experiments)
    ]
    parts = [name for name in differs if name.startswith(("tune_", "lora_"))]
    asked = [name for name in differs if name != "seed" and name not in parts]
    choices = [*asked, *(["trainable_parts"] if parts else ()), *([BEST] if differs else ())]
    if question not in choices:
        text = f"'{question}' is no question about these experiments"
        if question in all_hyperparameters():
            text = f"{question} is the same in every experiment, or not asked about"
        hint = did_you_mean(question, choices) if choices else "give it several values"
        yield yaml_problem(("until", "question"), text, hint)
    names, further = {item.name for item in experiments}, further_experiments(experiments)
    if len(names) + len(further) > MOST_EXPERIMENTS:
        text = f"gives {len(names) + len(further):,} experiments, at most {MOST_EXPERIMENTS:,}"
        yield yaml_problem(("until",), text)
    for item in further:
        yield from name_problems(item.name, ("until",))
        if item.name in names:
            text = f"'{item.name}' is the name of an experiment, and of a later round's"
            yield yaml_problem(("until",), text, "rename the experiment")


def name_problems(name: str, location: Location) -> list[Finding]:
    """The problem of a name as a list, empty where it is a good name."""
    problem = name_problem(name)
    return [yaml_problem(location, problem)] if problem else []


def _dataset_problems(
    item: PlacedExperiment, content: SweepFile, datasets: Collection[str], located: LocatedYaml
) -> Iterator[Finding]:
    experiment = item.experiment
    if not experiment.dataset:
        yield yaml_problem(item.location, f"'{experiment.name}' has no dataset")
        return
    where = _stated_at(item, "dataset", content)
    first: dict[str, Location] = {}
    for index, dataset in enumerate(experiment.datasets):
        place = where if isinstance(experiment.dataset, str) else (*where, index, "name")
        if problem := dataset_problem(dataset.name, datasets):
            yield yaml_problem(place, *problem)
        elif dataset.name in first:
            line = located.line(first[dataset.name])
            text = f"'{dataset.name}' is in this mixture already, at line {line}"
            yield yaml_problem(place, text, "give it once, with the sum of the weights")
        first.setdefault(dataset.name, place)


def _trainer_limits(item: PlacedExperiment, content: SweepFile) -> Iterator[Finding]:
    experiment = item.experiment
    for name in item.refused:
        owners = [t for t in trainer_names() if name in hyperparameters_model(t).model_fields]
        values = content.defaults.hyperparameters | item.entry.hyperparameters
        text = f"the {experiment.trainer} trainer does not take {name} {str(values[name]).lower()}"
        reason = type(experiment.hyperparameters).not_taken.get(name)
        remedies = [f"{', '.join(owners)} does", *filter(None, [reason])]
        yield yaml_problem(_stated_at(item, name, content), text, "; ".join(remedies))
    trainer = trainer_named(experiment.trainer)
    if len(experiment.datasets) > 1 and not trainer.takes_mixtures:
        text = f"the {experiment.trainer} trainer takes one dataset, and no mixture"
        yield yaml_problem(_stated_at(item, "dataset", content), text, "name one of them")
    for finding in trainer.limits(experiment):
        yield moved(finding, _stated_at(item, finding.subject or "", content))


def _stated_at(item: PlacedExperiment, field: str, content: SweepFile) -> Location:
    entry, defaults, here = item.entry, content.defaults, item.location
    if field in ("dataset", "engine", "base_model"):
        if getattr(entry, field) is not None:
            return (*here, field)
        if field in defaults.model_fields_set:
            return ("defaults", field)
        if field == "base_model":
            return (*here, "trainer") if entry.trainer else ("defaults", "trainer")
        return (*here, field)
    stated = field in entry.hyperparameters or field not in defaults.hyperparameters
    return (*(here if stated else ("defaults",)), "hyperparameters", field)


def _repeated_names(
    experiments: Iterable[PlacedExperiment], located: LocatedYaml
) -> Iterator[Finding]:
    first: dict[str, Location] = {}
    for item in experiments:
        name, where = item.experiment.name, (*item.location, "name")
        if (before := first.setdefault(name, where)) is not where:
            text = f"'{name}' is already the name of the experiment at line {located.line(before)}"
            yield yaml_problem(where, text)


def _pattern_blocks(content: SweepFile) -> Iterator[tuple[str, Grid | Random, list[str]]]:
    """The blocks of a file that make names, with what their names may hold."""
    if grid := content.grid:
        yield "grid", grid, list(grid.hyperparameters)
    if block := content.random:
        yield "random", block, [INDEX, *block.hyperparameters]


def _misplaced(problem: Finding) -> Finding:
    if problem.found != "unknown field" or not problem.location:
        return problem
    name, is_setting = str(problem.location[-1]), problem.location[-2:-1] == ("hyperparameters",)
    if name == "gpus":
        text = "unknown field; the number of GPUs is the hyperparameter num_gpus"
    elif is_setting and name in Entry.model_fields:
        text = "is no hyperparameter: put it one level up, beside hyperparameters"
    elif not is_setting and name in all_hyperparameters():
        text = "is a hyperparameter: put it under hyperparameters"
    else:
        return problem
    return yaml_problem(problem.location, text)


def _checked(block: dict[str, Any], prefix: Location) -> list[Finding]:
    model = combined_hyperparameters()
    try:
        model.model_validate(block)
    except ValidationError as failure:
        return [_misplaced(item) for item in validation_problems(failure, model, prefix)]
    return []


def _sampled(name: str, choice: Choice, where: Location) -> Iterator[Finding]:
    is_list = isinstance(choice, list)
    if is_list and not choice:
        yield yaml_problem(where, "has no values")
    elif name not in all_hyperparameters():
        yield from _checked({name: None}, where[:-1])
    elif not is_list and (problem := _wrong_distribution(name, choice)):
        yield yaml_problem((*where, "distribution"), problem)
    else:
        for place, value in enumerate(choice) if is_list else choice.bounds().items():
            for problem in _checked({name: value}, where[:-1]):
                yield moved(problem, (*where, place))


def _wrong_distribution(name: str, drawn: Distribution) -> str | None:
    annotation = all_hyperparameters()[name].annotation
    if annotation is int:
        whole = drawn.distribution == "int_uniform"
        return None if whole else f"{name} is a whole number: use int_uniform or a list"
    if annotation is float:
        return None
    values = [str(value).lower() for value in get_args(annotation) or (False, True)]
    return f"{name} is no number: give a list of {', '.join(values)}"
