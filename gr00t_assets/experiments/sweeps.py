"""Sweeps: from ``data/sweeps/*.yaml`` to the experiments that are partitions of ``checkpoint``."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.yaml_files import load_yaml, raise_problems, shown_path, yaml_problem
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.expansion import all_entries, expand
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweep_file import DEFAULT_RETRIES, SweepFile, Until
from gr00t_assets.experiments.sweep_problems import (
    entry_problems,
    experiment_problems,
    field_problems,
    name_problems,
    pattern_problems,
    until_problems,
    value_problems,
)
from gr00t_assets.experiments.sweep_rounds import SweepRounds, further_experiments, readable_rounds

T = TypeVar("T")


@dataclass(frozen=True)
class Sweep:
    """A sweep file, read: its experiments are complete and valid.

    They are in the order of the file, the grid after the list, then the samples; after them those
    that later rounds asked for. ``further`` are those that a round may ask for yet. The name is the
    file's without its ending; the schedule a cron expression in UTC.
    """

    name: str
    file: Path
    description: str
    schedule: str | None
    experiments: tuple[Experiment, ...]
    max_retries: int = DEFAULT_RETRIES
    until: Until | None = None
    further: tuple[Experiment, ...] = ()
    rounds: SweepRounds = field(default_factory=SweepRounds)

    def with_rounds(self, rounds: SweepRounds) -> "Sweep":
        """The same with the experiments of these rounds among its own."""
        asked = tuple(item for item in self.further if item.name in rounds.names)
        left = tuple(item for item in self.further if item.name not in rounds.names)
        own = (*self.experiments, *asked)
        return replace(self, experiments=own, further=left, rounds=rounds)

    @property
    def first_round(self) -> "Sweep":
        """The same with the experiments of its file alone."""
        names = self.rounds.names
        own = tuple(item for item in self.experiments if item.name not in names)
        return replace(self, experiments=own)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets that its experiments use, each once, in order of first use."""
        every = [item for experiment in self.experiments for item in experiment.datasets]
        return tuple(dict.fromkeys(item.name for item in every))

    @property
    def trainers(self) -> tuple[str, ...]:
        """Names of the trainers that its experiments use, each once, in order of first use."""
        return tuple(dict.fromkeys(experiment.trainer for experiment in self.experiments))


def load_sweeps(
    directory: Path | None = None, datasets: Collection[str] | None = None
) -> dict[str, Sweep]:
    """Every sweep of a folder, ``data/sweeps`` where left out, by name.

    Its experiments may use these ``datasets``, those of the catalog where left out.

    Raises:
        SweepError: A file is wrong, or one experiment name stands in two files. The message has
            file, line, field and the nearest valid name.
    """
    folder = directory or project_root() / "data" / "sweeps"
    names = load_catalog() if datasets is None else datasets
    sweeps: dict[str, Sweep] = {}
    owner: dict[str, Path] = {}
    for file in sorted(folder.glob("*.yaml")):
        sweeps[file.stem] = load_sweep(file, names)
        for name in experiments_by_name({file.stem: sweeps[file.stem]}):
            if (other := owner.setdefault(name, file)) != file:
                problem = f"experiment '{name}' is also in {shown_path(other)}."
                remedy = "an experiment's name is its partition key: rename one of them"
                raise SweepError(shown_path(file), problem, [remedy])
    return sweeps


def load_sweep(file: Path, datasets: Collection[str]) -> Sweep:
    """Read one sweep file.

    Raises:
        SweepError: Every problem of the file, each with its line and field.
    """
    located = load_yaml(file, SweepError)
    try:
        content = SweepFile.model_validate(located.data or {})
    except ValidationError as failure:
        raise_problems(located, field_problems(failure), SweepError)
        raise
    problems = name_problems(file.stem, ()) + value_problems(content)
    raise_problems(located, problems + pattern_problems(content), SweepError)
    entries = all_entries(content)
    raise_problems(located, entry_problems(content, entries), SweepError)
    experiments, problems = expand(content, entries, file.stem)
    raise_problems(located, problems, SweepError)
    problems = experiment_problems(experiments, content, datasets, located)
    if not experiments:
        problems.append(yaml_problem((), "no experiments: give 'experiments', 'grid' or 'random'"))
    own = [item.experiment for item in experiments]
    raise_problems(located, [*problems, *until_problems(content, own)], SweepError)
    sweep = Sweep(
        name=file.stem,
        file=file,
        description=content.description,
        schedule=content.schedule,
        experiments=tuple(own),
        max_retries=content.max_retries,
        until=content.until,
        further=tuple(further_experiments(own)) if content.until else (),
    )
    store = Store.from_environment()
    return sweep.with_rounds(readable_rounds(sweep.name, store)) if content.until else sweep


def experiments_by_name(sweeps: Mapping[str, Sweep]) -> dict[str, Experiment]:
    """Every experiment of some sweeps by its name, in their order, those of later rounds too."""
    return {
        item.name: item
        for sweep in sweeps.values()
        for item in (*sweep.experiments, *sweep.further)
    }


def find_experiment(name: str, sweeps: Mapping[str, Sweep]) -> Experiment:
    """The experiment of a name.

    Raises:
        SweepError: No sweep has it; the nearest name is suggested.
    """
    problem = "no sweep has an experiment of this name."
    return _found(name, experiments_by_name(sweeps), problem)


def find_sweep(name: str, sweeps: Mapping[str, Sweep]) -> Sweep:
    """The sweep of a name.

    Raises:
        SweepError: There is none; the nearest name is suggested.
    """
    return _found(name, sweeps, "there is no sweep of this name.")


def _found(name: str, choices: Mapping[str, T], problem: str) -> T:
    if name not in choices:
        raise SweepError(name, problem, [did_you_mean(name, choices)])
    return choices[name]
