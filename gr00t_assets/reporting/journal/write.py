"""Writing the journal: ``reports/research_journal.md``, from the runs and a person's notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.runs import read_runs
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.reporting.journal.notes import FOLDER, Note, read_notes
from gr00t_assets.reporting.journal.text import journal_text
from gr00t_assets.reporting.report.subject import Subject
from gr00t_assets.reporting.report.write import make_subjects, short_verdict

FILE = "research_journal.md"


@dataclass(frozen=True)
class Journal:
    """A written journal.

    Attributes:
        path: The Markdown file.
        text: Its content.
        changed: Whether it says anything other than before; where it does not, the file is left
            as it was.
        subjects: What it was written from.
        notes: Those that were found, placed or not.
    """

    path: Path
    text: str
    changed: bool
    subjects: tuple[Subject, ...]
    notes: tuple[Note, ...]

    @property
    def verdict(self) -> str:
        """What is best and whether that is known."""
        return short_verdict(self.subjects)


def write_journal(
    sweeps: Sequence[Sweep],
    store: Store,
    notes_folder: Path | None = None,
    imported: Sequence[Observation] | None = None,
) -> Journal:
    """Write the journal in one step.

    It holds nothing but what the runs and the notes say: no clock, and no order in which files were
    found. So it is not kept when it is replaced: the runs and notes that a former one was written
    from are all still there, and are never changed or deleted by this.

    Args:
        sweeps: Every sweep of the project.
        store: Where the runs are, and where the journal goes.
        notes_folder: A person's notes; ``data/journal/notes`` of the project where left out.
        imported: Runs from elsewhere; those of the project's table and of W&B where left out.

    Raises:
        StoreError: The disk is full; the former journal is as it was.
    """
    ordered = sorted(sweeps, key=lambda sweep: sweep.name)
    runs = {sweep.name: read_runs(sweep.experiments, store) for sweep in ordered}
    subjects, problems = make_subjects(runs, store, imported)
    known = {run.name for held in runs.values() for run in held}
    known |= {run.name for subject in subjects for run in subject.observations}
    notes = read_notes(notes_folder or project_root() / FOLDER, known)
    text = journal_text(subjects, _planned(runs), notes, problems)
    path = store.reports / FILE
    changed = not path.is_file() or path.read_bytes() != text.encode()
    if changed:
        write_bytes(path, text.encode())
    return Journal(path, text, changed, tuple(subjects), tuple(notes))


def _planned(runs: Mapping[str, Sequence[Run]]) -> dict[str, list[str]]:
    return {
        name: [run.name for run in held if run.status == "missing"] for name, held in runs.items()
    }
