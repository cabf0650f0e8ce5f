"""Reading every run, comparing them, and writing the report."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.store_runs import observe
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.runs import read_runs
from gr00t_assets.comparison.tables.all_runs import imported_runs
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.reporting.report.markdown import subject_markdown
from gr00t_assets.reporting.report.page import STORE, render
from gr00t_assets.reporting.report.price import price_per_gpu_hour
from gr00t_assets.reporting.report.sections import Section, sweep_section
from gr00t_assets.reporting.report.subject import Subject, make_subject

if TYPE_CHECKING:
    from gr00t_assets.evaluation.result import Evaluation


FILE = "loss_comparison.html"
IMPORTED = "imported"


@dataclass(frozen=True)
class Report:
    """A written report.

    Attributes:
        path: The HTML file.
        sections: One a sweep, in the order of the file.
        runs: The runs of every sweep that was read, by its name, reported or not.
        subjects: What is compared: the store's runs, and imported ones where there are any.
        problems: What kept something from the report, a sentence each.
    """

    path: Path
    sections: tuple[Section, ...]
    runs: dict[str, list[Run]]
    subjects: tuple[Subject, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The comparison table of each sweep in the report, by the sweep's name."""
        return {section.name: section.table for section in self.sections}

    @property
    def verdict(self) -> str:
        """What is best and whether that is known: of the store, else of the imported runs."""
        return short_verdict(self.subjects)

    def markdown(self) -> str:
        """The report in GitHub's Markdown, the short verdict first."""
        return "\n\n".join(subject_markdown(subject) for subject in self.subjects)


def write_report(
    sweeps: Sequence[Sweep],
    store: Store,
    asked: Collection[str] = (),
    imported: Sequence[Observation] | None = None,
) -> Report:
    """Write the comparison of every run to ``reports/loss_comparison.html``.

    Args:
        sweeps: Every sweep of the project.
        store: Where the runs are, and where the report goes.
        asked: Names of sweeps that get a section even where nothing has run yet.
        imported: Runs from elsewhere; those of the project's journal and of W&B where left out.

    Raises:
        StoreError: The disk is full; the former report is as it was.
        Gr00tAssetsError: ``GR00T_ASSETS_GPU_PRICE`` is no price.
    """
    price = price_per_gpu_hour()
    runs = {sweep.name: read_runs(sweep.experiments, store) for sweep in sweeps}
    sections = tuple(
        sweep_section(sweep, runs[sweep.name])
        for sweep in sweeps
        if sweep.name in asked or any(run.status != "missing" for run in runs[sweep.name])
    )
    subjects, problems = make_subjects(runs, store, imported)
    text = render(subjects, sections, [sweep.name for sweep in sweeps], price, problems)
    path = store.reports / FILE
    write_bytes(path, text.encode())
    return Report(path, sections, runs, tuple(subjects), tuple(problems))


def short_verdict(subjects: Sequence[Subject]) -> str:
    """What is best and whether that is known: of the store, else of the imported runs."""
    chosen = next((each for each in subjects if each.groups), None)
    if chosen is None:
        return "No experiment has finished yet."
    return chosen.verdict if chosen.key == STORE else f"{chosen.title}: {chosen.verdict}"


def make_subjects(
    runs: Mapping[str, Sequence[Run]],
    store: Store,
    imported: Sequence[Observation] | None = None,
) -> tuple[list[Subject], list[str]]:
    """The store's runs and the imported ones, compared; and what could not be read.

    An import or an evaluation that cannot be read keeps nothing else from being compared.
    """
    problems: list[str] = []
    subjects = []
    found = [run for held in runs.values() for run in held if run.status != "missing"]
    if found:
        observations = observe(found)
        evaluations = _evaluations(found, observations, store, problems)
        observations = in_order(observations)
        subjects.append(
            make_subject(STORE, "Runs of the store", "From the run directories in the store.",
                         observations, evaluations)
        )  # fmt: skip
    others = _imported(store, problems) if imported is None else imported
    if others:
        subjects.append(make_subject(IMPORTED, "Imported runs", _origin(others), in_order(others)))
    return subjects, problems


def in_order(observations: Sequence[Observation]) -> list[Observation]:
    """Runs in order of their start, whatever order their files were found in."""
    return sorted(observations, key=lambda run: (run.started_at, run.name, run.run_id))


def _evaluations(
    runs: Sequence[Run],
    observations: Sequence[Observation],
    store: Store,
    problems: list[str],
) -> "dict[str, Evaluation]":
    from gr00t_assets.evaluation.result import load_evaluation

    found = {}
    for run, observation in zip(runs, observations, strict=True):
        if not (run.config_hash and observation.finished):
            continue
        try:
            evaluation = load_evaluation(store.run_directory(run.name, run.config_hash))
        except Gr00tAssetsError as error:
            problems.append(f"The evaluation of {run.name} is left out: {error.problem}")
            continue
        if evaluation is not None:
            found[observation.run_id] = evaluation
    return found


def _imported(store: Store, problems: list[str]) -> Sequence[Observation]:
    try:
        return imported_runs(store)
    except Gr00tAssetsError as error:
        problems.append(f"Imported runs are left out: {error}")
        return []


def _origin(observations: Sequence[Observation]) -> str:
    tables = sum(run.source == "table" for run in observations)
    others = len(observations) - tables
    origins = [
        *([f"{tables} from data/journal/runs.csv"] if tables else []),
        *([f"{others} from W&B"] if others else []),
    ]
    return (
        f"Runs that this store did not make: {' and '.join(origins)}. Without a curve a loss is "
        "one logged value, so it is widely uncertain."
    )
