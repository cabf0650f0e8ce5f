"""Drafts: the experiments of a sweep file before they are complete, and what is wrong with them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from gr00t_assets.core.names import did_you_mean, name_problem
from gr00t_assets.core.yaml_files import LocatedYaml, Location, Problem
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.points import Point
from gr00t_assets.experiments.sweep_file import Defaults, Entry, SweepFile
from gr00t_assets.experiments.trainer_limits import trainer_limits


@dataclass(frozen=True)
class Draft:
    """An experiment before it is complete, with the place in the file that it comes from."""

    location: Location
    name: str
    entry: Entry
    defaults: Defaults
    hyperparameters: dict[str, Any]
    continue_from: str | None = None
    continued_steps: tuple[int, ...] = ()

    @property
    def dataset(self) -> str | None:
        """Name of its dataset, where one is given."""
        return self.entry.dataset or self.defaults.dataset

    def experiment(self, sweep: str, content: SweepFile) -> Experiment:
        """The complete experiment; only for a draft without problems."""
        entry, defaults = self.entry, self.defaults
        own_model = entry.base_model is not None
        return Experiment(
            name=self.name,
            sweep=sweep,
            dataset=self.dataset or "",
            trainer=entry.trainer or defaults.trainer,
            base_model=entry.base_model or defaults.base_model,
            base_model_revision=entry.base_model_revision
            or (None if own_model else defaults.base_model_revision),
            hyperparameters=Hyperparameters.model_validate(self.hyperparameters),
            hypothesis=defaults.hypothesis if entry.hypothesis is None else entry.hypothesis,
            tags=tuple(dict.fromkeys((*content.tags, *defaults.tags, *entry.tags))),
            pruning=content.pruning,
            continue_from=self.continue_from,
            continued_steps=self.continued_steps,
            priority=self._need("priority") or 0,
            vram_gb=self._need("vram_gb"),
            **self._stated(),
        )

    def _need(self, field: str) -> Any:
        """What the queue is told; ``vram_gb: null`` in an entry means that it is not checked."""
        stated = field in self.entry.model_fields_set
        return getattr(self.entry if stated else self.defaults, field)

    def _stated(self) -> dict[str, Any]:
        """``report_to`` where the file says it: `isaac command` prints what a file states."""
        if self.entry.report_to is not None:
            return {"report_to": self.entry.report_to}
        if "report_to" in self.defaults.model_fields_set:
            return {"report_to": self.defaults.report_to}
        return {}


def expand(content: SweepFile, made: Iterable[Point]) -> list[Draft]:
    """Every experiment of a file, each once for every seed: the list, the grid, the samples."""
    drafts = []
    for index, entry in enumerate(content.experiments):
        drafts += _replicates(("experiments", index), entry, content)
    for point in made:
        drafts += _replicates((point.block,), point.entry, content)
    return drafts


def draft_problems(
    drafts: Iterable[Draft], datasets: Collection[str], located: LocatedYaml
) -> list[Problem]:
    """What is wrong with the names, datasets and trainers of a file's experiments."""
    every = list(drafts)
    problems = [problem for draft in every for problem in _draft_problems(draft, datasets, located)]
    return problems + _repeated_names(every, located)


def _replicates(location: Location, entry: Entry, content: SweepFile) -> list[Draft]:
    values = content.defaults.hyperparameters | entry.hyperparameters
    if not content.seeds:
        return [Draft(location, entry.name, entry, content.defaults, values)]
    return [
        Draft(
            location, f"{entry.name}-seed{seed}", entry, content.defaults, values | {"seed": seed}
        )
        for seed in content.seeds
    ]


def _draft_problems(draft: Draft, datasets: Collection[str], located: LocatedYaml) -> list[Problem]:
    problems = name_problems(draft.name, (*draft.location, "name"))
    where = draft.location if draft.entry.dataset else ("defaults",)
    if draft.dataset is None:
        problems.append(Problem(draft.location, f"'{draft.name}' has no dataset"))
    elif draft.dataset not in datasets:
        message = f"unknown dataset '{draft.dataset}'; {did_you_mean(draft.dataset, datasets)}"
        problems.append(Problem((*where, "dataset"), message))
    limits = trainer_limits(
        draft.entry.trainer or draft.defaults.trainer,
        draft.entry.base_model or draft.defaults.base_model,
        Hyperparameters.model_validate(draft.hyperparameters),
    )
    return problems + [Problem(_stated_at(draft, field, located), text) for field, text in limits]


def _stated_at(draft: Draft, field: str, located: LocatedYaml) -> Location:
    """Where a file states what an experiment has; where it says nothing, the experiment."""
    entry, defaults, here = draft.entry, draft.defaults, draft.location
    if field == "base_model":
        if entry.base_model is not None:
            return (*here, field)
        if field in defaults.model_fields_set:
            return ("defaults", field)
        return (*here, "trainer") if entry.trainer else ("defaults", "trainer")
    stated = field in entry.hyperparameters or field not in defaults.hyperparameters
    return (*here, "hyperparameters", field) if stated else ("defaults", "hyperparameters", field)


def name_problems(name: str, location: Location) -> list[Problem]:
    """The problem of a name as a list, empty where it is a good name."""
    problem = name_problem(name)
    return [Problem(location, problem)] if problem else []


def _repeated_names(drafts: Iterable[Draft], located: LocatedYaml) -> list[Problem]:
    first: dict[str, Location] = {}
    problems = []
    for draft in drafts:
        if draft.name in first:
            line = located.line(first[draft.name])
            message = f"'{draft.name}' is already the name of the experiment at line {line}"
            problems.append(Problem((*draft.location, "name"), message))
        first.setdefault(draft.name, (*draft.location, "name"))
    return problems
