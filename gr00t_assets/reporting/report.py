"""The report: every run of a project compared, and written into one HTML file."""

import os
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gr00t_assets.comparison.all_runs import JOURNAL, from_store, imported_runs
from gr00t_assets.comparison.comparison import Comparison, compare
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.ranking import BAND, ComparabilityClass
from gr00t_assets.comparison.tables.wandb_import import imports_folder
from gr00t_assets.comparison.wording import first_label, loss_and_interval
from gr00t_assets.core.errors import Gr00tAssetsError, system_errors_explained
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store, data_files
from gr00t_assets.evaluation.result import Evaluation, load_evaluation
from gr00t_assets.evaluation.rollouts.result import Rollouts, load_rollouts
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.reporting.html import STORE, Video, first_ranked, render_page
from gr00t_assets.reporting.markdown import comparison_markdown, narrow_table
from gr00t_assets.reporting.summaries import SweepSummary, price_per_gpu_hour, sweep_summary
from gr00t_assets.runs.stored_run import StoredRun, read_runs

FILE = "loss_comparison.html"
IMPORTED = "imported"
VIDEO_BYTES = 4_000_000  # Of all videos inside the page together
SEE_IMPORTED = "Runs made elsewhere are not shown: gr00t-assets compare --imported shows them."


@dataclass(frozen=True)
class Report:
    """A report, and what it was made from."""

    path: Path  # The HTML file that the ``page`` goes to
    page: str
    sweeps: tuple[SweepSummary, ...]  # Those in it
    stored: Mapping[str, Sequence[StoredRun]]  # The runs of every sweep by its name
    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...]  # What kept something from it

    @property
    def verdict(self) -> str:
        """What is best and whether that is known: of the store, else of the imported runs."""
        return short_verdict(self.comparisons)

    def runs_of(self, sweeps: Collection[str]) -> list[Run]:
        """The runs of some sweeps, with the ids that they have in the whole report."""
        every = from_store([run for of_sweep in self.stored.values() for run in of_sweep])
        return in_order([run for run in every if run.sweep in sweeps])

    def write(self) -> "Report":
        """Write the file; ``StoreError`` where that cannot be, and the former one is as it was."""
        with system_errors_explained(self.path):
            write_bytes(self.path, self.page.encode(errors="backslashreplace"))
        return self

    def markdown(self) -> str:
        """The report in GitHub's Markdown, the short verdict first."""
        return "\n\n".join(map(comparison_markdown, self.comparisons)) or self.verdict


def make_report(
    sweeps: Sequence[Sweep],
    store: Store,
    asked: Collection[str] = (),
    imported: Sequence[Run] | None = (),
    band: float = BAND,
) -> Report:
    """The comparison of every run of the project's sweeps; raises as ``price_per_gpu_hour``.

    Args:
        asked: Names of sweeps that are in the report even where nothing has run yet.
        imported: Runs from elsewhere; None for those of the project's journal and of W&B.
        band: Share by which two losses may differ and still be equally good.
    """
    price = price_per_gpu_hour()
    stored = {sweep.name: read_runs(sweep.experiments, store) for sweep in sweeps}
    runs = from_store([item for of_sweep in stored.values() for item in of_sweep])
    summaries = tuple(
        sweep_summary(sweep, stored[sweep.name], runs)
        for sweep in sweeps
        if sweep.name in asked or any(run.status != "missing" for run in stored[sweep.name])
    )
    comparisons, problems = compare_everything(runs, store, imported, band)
    imports = (*data_files(JOURNAL), *imports_folder(store).glob("[!.]*.parquet"))
    if not comparisons and any(file.is_file() for file in imports):
        problems.append(SEE_IMPORTED)
    faults = read_project().sweeps.faults.values()
    problems += [f"the runs of a sweep are left out: {error.headline}" for error in faults]
    path, names = store.reports / FILE, [sweep.name for sweep in sweeps]
    videos = _videos(comparisons, store)
    page = render_page(comparisons, summaries, names, price, problems, videos)
    return Report(path, page, summaries, stored, tuple(comparisons), tuple(problems))


def short_verdict(comparisons: Sequence[Comparison]) -> str:
    """What is best and whether that is known: of the store, else of the imported runs."""
    first = first_ranked(comparisons)
    if first is None or not first.ranked_classes:
        return "No experiment has finished yet."
    return first.verdict if first.key == STORE else f"{first.title}: {first.verdict}"


def compare_everything(
    runs: Sequence[Run], store: Store, imported: Sequence[Run] | None = None, band: float = BAND
) -> tuple[list[Comparison], list[str]]:
    """The store's runs compared, and the imported ones; and what could not be read.

    An import, an evaluation or rollouts that cannot be read keep nothing else from being compared.
    Imported are the runs of the project's journal and of W&B where ``imported`` is None.
    """
    problems: list[str] = []
    evaluations, rollouts = _measured(runs, store, problems)
    others: Sequence[Run] = imported or ()
    if imported is None:
        try:
            others = imported_runs(store)
        except Gr00tAssetsError as error:
            problems.append(f"Imported runs are left out: {error}")
    groups = (
        (runs, STORE, "Runs of the store", "From the run directories in the store."),
        (others, IMPORTED, "Imported runs", _origin(others)),
    )
    return [
        compare(
            in_order(members), evaluations, rollouts, band=band, key=key, title=title, origin=origin
        )
        for members, key, title, origin in groups
        if members
    ], problems


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Runs in order of their start, whatever the order of their files on disk."""
    return sorted(runs, key=lambda run: (run.started_at, run.name, run.run_id))


def _measured(
    runs: Sequence[Run], store: Store, problems: list[str]
) -> tuple[dict[str, Evaluation], dict[str, list[Rollouts]]]:
    """Open-loop evaluations and rollouts by run id."""
    evaluations, rollouts = {}, {}
    kinds = (("The evaluation", load_evaluation, evaluations),
             ("Every rollout", load_rollouts, rollouts))  # fmt: skip
    for run in runs:
        if not (run.finished and run.stored and run.stored.config_hash):
            continue
        folder = store.run_directory(run.name, run.stored.config_hash)
        for name, load, measured in kinds:
            try:
                if item := load(folder):
                    measured[run.run_id] = item
            except Gr00tAssetsError as error:
                problems.append(f"{name} of {run.name} is left out: {error.problem}")
    return evaluations, rollouts


def _videos(comparisons: Sequence[Comparison], store: Store) -> dict[tuple[str, str], list[Video]]:
    """Videos by experiment and environment: inside the page the first ones, the others linked."""
    videos: dict[tuple[str, str], list[Video]] = {}
    room = VIDEO_BYTES
    rows = (row for item in comparisons for success in item.success for row in success.rows)
    for rollouts in (row.rollouts[0] for row in rows):
        folder = store.run_directory(rollouts.experiment, rollouts.config_hash).resolve()
        for name in rollouts.videos:
            file = (folder / name).resolve()
            if not (file.is_relative_to(folder) and file.suffix == ".webp" and file.is_file()):
                continue
            address = quote(os.path.relpath(file, store.reports.resolve()))
            if (size := file.stat().st_size) <= room:
                room -= size
                address = f"data:image/webp;base64,{b64encode(file.read_bytes()).decode()}"
            caption = file.stem.replace("-", " ")
            names = rollouts.experiment, rollouts.environment
            videos.setdefault(names, []).append(Video(caption, address))
    return videos


def _origin(runs: Sequence[Run]) -> str:
    from_table = sum(run.source == "table" for run in runs)
    counts = {"journal/runs.csv": from_table, "W&B": len(runs) - from_table}
    origins = [f"{count} from {origin}" for origin, count in counts.items() if count]
    return (
        f"Runs that this store did not make: {' and '.join(origins)}. Without a curve a loss is "
        "one logged value, so it is widely uncertain."
    )


MOST_ROWS = 10  # Of a table; ``gr00t-assets compare`` has them all


def sweep_message(sweep: Sweep, store: Store, most_rows: int = MOST_ROWS) -> list[str]:
    """What is best, then a line a configuration, at most so many; and what could not be read."""
    stored, lines = read_runs(sweep.experiments, store), []
    comparisons, problems = compare_everything(from_store(stored), store, imported=())
    for comparison in comparisons:
        lines.append(comparison.verdict)
        for item in comparison.ranked_classes if most_rows else ():
            lines += _table(comparison, item, most_rows)
    return [*lines, *problems]


def _table(comparison: Comparison, item: ComparabilityClass, most_rows: int) -> list[str]:
    """A line a configuration: place, name, loss with its interval, success where it is known."""
    table = narrow_table(comparison, item)
    names, lines = [column.name for column in table.columns], []
    for (ranked, cells), (number, tied) in zip(table.rows[:most_rows], table.ranks, strict=False):
        loss, interval = loss_and_interval(ranked)
        line = f"{number}{' ≈' * tied} {first_label(ranked.runs)}: loss {loss}"
        line += f" ({interval})" if interval else ""
        success = dict(zip(names, cells, strict=True)).get("success")
        lines.append(line + (f", success {success.text}" if success and success.text else ""))
    if more := len(table.rows) - len(lines):
        lines.append(f"and {more} more: gr00t-assets compare")
    return lines
