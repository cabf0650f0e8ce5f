"""Sweeps: from ``data/sweeps/*.yaml`` to the experiments that are partitions of ``checkpoint``."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pydantic import Field, ValidationError

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import StoreError, SweepError, system_errors_explained
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.core.yaml_files import load_yaml, raise_problems, shown_path
from gr00t_assets.experiments.engine_file import usable_engines
from gr00t_assets.experiments.expansion import all_entries, expand, further_experiments
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweep_file import DEFAULT_RETRIES, SweepFile, Until
from gr00t_assets.experiments.sweep_problems import (
    entry_problems,
    experiment_problems,
    field_problems,
    name_problems,
    value_problems,
)


class AskedRound(FrozenModel):
    """Experiments that were asked for together."""

    asked_at: str = Field(description="When, in ISO 8601")
    experiments: tuple[str, ...] = Field(description="Their names")
    chance: float | None = Field(description="That they settle the question, as it was expected")
    hours: float = Field(description="GPU-hours, of a CPU where there is none, as expected")
    reason: str = Field(description="Why, in words")


class SweepRounds(FrozenModel):
    """Rounds of a sweep that goes on by itself, after that of its file, the first one first."""

    rounds: tuple[AskedRound, ...] = ()

    @property
    def names(self) -> set[str]:
        """Names of all their experiments."""
        return {name for item in self.rounds for name in item.experiments}


@dataclass(frozen=True)
class Sweep:
    """A sweep file, read: its experiments are complete and valid.

    They are in the order of the file, the grid after the list, then the samples; after them those
    that later rounds asked for. ``further`` are those that a round may ask for yet, partitions from
    the start. The name is the file's without its ending; the schedule a cron expression in its
    ``time_zone``.
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
    time_zone: str = "UTC"

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
    def every(self) -> tuple[Experiment, ...]:
        """Its experiments, and those that a round may ask for yet."""
        return (*self.experiments, *self.further)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets that its experiments use, each once, in order of first use."""
        every = [item for experiment in self.experiments for item in experiment.datasets]
        return tuple(dict.fromkeys(item.name for item in every))


class Sweeps(dict[str, Sweep]):
    """Sweeps that can be used, by name, in the order of their files; ``faults`` of the others.

    ``lost`` has the file of each experiment that was in such a file, as far as that is known. To
    look up a sweep that there is not raises a ``SweepError`` that says why.
    """

    def __init__(
        self,
        sweeps: Mapping[str, Sweep],
        faults: Mapping[Path, SweepError] | None = None,
        lost: Mapping[str, Path] | None = None,
    ) -> None:
        super().__init__(sweeps)
        self.faults, self.lost = dict(faults or {}), dict(lost or {})

    @cached_property
    def experiments(self) -> "Experiments":
        """Every experiment by its name, in the order of the sweeps, those of later rounds too."""
        return Experiments(self)

    def __missing__(self, name: str) -> Sweep:
        """Raise the error of its file, or the nearest name."""
        for file, error in self.faults.items():
            if file.stem == name:
                raise error.with_traceback(None)  # it may be raised often
        raise SweepError(name, "there is no sweep of this name.", [did_you_mean(name, self)])


class Experiments(dict[str, Experiment]):
    """Experiments by name; to look one up that there is not raises the ``SweepError`` of why."""

    def __init__(self, sweeps: Sweeps) -> None:
        super().__init__({item.name: item for sweep in sweeps.values() for item in sweep.every})
        self._sweeps = sweeps

    def __missing__(self, name: str) -> Experiment:
        """Raise the error of the file that it was in, or the nearest name."""
        faults, file = self._sweeps.faults, self._sweeps.lost.get(name)
        if file in faults:
            raise faults[file].with_traceback(None)  # it may be raised often
        hints = [f"it may be in a file with a fault: {fault.headline}" for fault in faults.values()]
        hints.insert(0, did_you_mean(name, self))
        raise SweepError(name, "no sweep has an experiment of this name.", hints)


def read_sweeps(files: Iterable[Path], datasets: Collection[str]) -> Sweeps:
    """The sweeps of some files that can be used; a fault of a file disables its sweep.

    Of two files with an experiment of one name the later one is faulty. So is one at which the
    reader itself fails, so that no file keeps anybody from the others.
    """
    sweeps: dict[str, Sweep] = {}
    faults: dict[Path, SweepError] = {}
    owner: dict[str, Path] = {}
    for file in files:
        try:
            sweep = load_sweep(file, datasets)
            own = [item.name for item in sweep.every]
            _refuse_names(sweep, own, sweeps, owner)
        except SweepError as error:
            faults[file] = error
        except Exception as error:
            problem = f"it cannot be read: {type(error).__name__}: {error}"
            faults[file] = SweepError(shown_path(file), problem, ["report it with this file"])
        else:
            sweeps[sweep.name] = sweep
            owner |= dict.fromkeys(own, file)
    return Sweeps(sweeps, faults)


def _refuse_names(
    sweep: Sweep, own: Iterable[str], sweeps: Mapping[str, Sweep], owner: Mapping[str, Path]
) -> None:
    """Refuse a sweep whose name, or that of one of its experiments, another file has."""
    file = shown_path(sweep.file)
    if other := sweeps.get(sweep.name):
        problem = f"{shown_path(other.file)} is a sweep of this name."
        raise SweepError(file, problem, ["rename one of them"])
    if repeated := [name for name in own if name in owner]:
        first, more = repeated[0], len(repeated) - 1
        problem = f"experiment '{first}' is also in {shown_path(owner[first])}"
        problem += f", and so are {more} more." if more else "."
        remedy = "an experiment's name is its partition key: rename one of them"
        raise SweepError(file, problem, [remedy])


def load_sweep(file: Path, datasets: Collection[str]) -> Sweep:
    """Read one sweep file; a ``SweepError`` has every problem with its line and field."""
    located = load_yaml(file, SweepError)
    try:
        content = SweepFile.model_validate(located.data or {})
    except ValidationError as failure:
        raise_problems(located, field_problems(failure), SweepError)
        raise
    problems = name_problems(file.stem, ()) + value_problems(content)
    raise_problems(located, problems, SweepError)
    entries = list(all_entries(content))
    raise_problems(located, entry_problems(content, entries), SweepError)
    experiments, problems = expand(content, entries, file.stem)
    raise_problems(located, problems, SweepError)
    engines = usable_engines().names
    problems = experiment_problems(experiments, content, datasets, engines, located)
    raise_problems(located, problems, SweepError)
    own = [item.experiment for item in experiments]
    sweep = Sweep(
        name=file.stem,
        file=file,
        description=content.description,
        schedule=content.schedule,
        time_zone=content.time_zone,
        experiments=tuple(own),
        max_retries=content.max_retries,
        until=content.until,
        further=tuple(further_experiments(own)) if content.until else (),
    )
    if content.until:
        with suppress(SweepError, StoreError):  # what is wrong with its rounds the sensor tells
            return sweep.with_rounds(load_rounds(sweep.name, Store.from_environment()))
    return sweep


def rounds_file(sweep: str, store: Store) -> Path:
    """Where the rounds of a sweep are kept."""
    return store.root / "sweeps" / f"{sweep}.json"


def load_rounds(sweep: str, store: Store) -> SweepRounds:
    """The rounds of a sweep; none where there is no file.

    What a lost file named is found out again: the same runs ask for the same rounds.

    Raises:
        SweepError: The file is damaged.
        StoreError: This user may not read it.
    """
    path = rounds_file(sweep, store)
    with system_errors_explained(path):
        try:
            path.stat()
        except FileNotFoundError:
            return SweepRounds()
    problem = f"the rounds of sweep {sweep} cannot be read, so that no further one is asked for."
    remedy = f"move it away, and its rounds are found out again from the runs: {path}"
    return load_sealed(
        path, SweepRounds, lambda why: SweepError(str(path), problem, [why.splitlines()[0], remedy])
    )


def save_round(sweep: str, store: Store, asked: AskedRound) -> SweepRounds:
    """Add a round, in one step.

    Raises:
        SweepError: The file is damaged; it is as it was.
        StoreError: The disk is full, or this user may not read or write it; it is as it was.
    """
    rounds = SweepRounds(rounds=(*load_rounds(sweep, store).rounds, asked))
    write_json(rounds_file(sweep, store), sealed(rounds.model_dump(mode="json")))
    return rounds
