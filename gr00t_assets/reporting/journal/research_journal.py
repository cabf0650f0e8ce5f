"""The research journal, ``reports/research_journal.md``, from the runs and a person's notes.

Notes, ``data/journal/notes/*.md``, are read and placed, and never changed. One may begin with front
matter that says what it is about::

    ---
    experiment: demo-lr1e-3-seed1
    ---

or ``question: batch_size``. A note without front matter is about the work as a whole.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.comparison import Comparison
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.factors import factor_named
from gr00t_assets.comparison.wording import factor_words
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.text import did_you_mean, markdown, printable
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.reporting.journal import entries
from gr00t_assets.reporting.markdown import markdown_environment, tidy
from gr00t_assets.reporting.report import compare_everything, short_verdict
from gr00t_assets.runs.stored_run import read_runs

FILE = "research_journal.md"
NOTES = Path("data/journal/notes")
"""Folder of the notes, in the project."""

MOST_ROWS = 20
"""Rows of one ranking; the report has them all."""

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Note:
    """A note by the name of its file; ``text`` is what the person wrote, without the front matter.

    ``subject`` is the experiment or factor that it is about, and ``problem`` says why that cannot
    be told.
    """

    name: str
    text: str
    kind: Literal["experiment", "question", "general", "unknown"] = "general"
    subject: str = ""
    problem: str = ""

    @property
    def quoted(self) -> str:
        """The note in a journal, each line quoted, so that its headings stay inside it."""
        lines = [f"> {line}".rstrip() for line in self.text.strip("\r\n").splitlines()]
        return "\n".join([f"> *Note {markdown(self.name)}*", ">", *(lines or ["> (empty)"])])


@dataclass(frozen=True)
class Journal:
    """A written journal, with what it was written from and every note, placed or not.

    Where it says nothing other than before, it is not ``changed``, and the file is left as it was.
    """

    path: Path
    text: str
    changed: bool
    comparisons: tuple[Comparison, ...]
    notes: tuple[Note, ...]

    @property
    def verdict(self) -> str:
        """What is best and whether that is known."""
        return short_verdict(self.comparisons)


def write_journal(
    sweeps: Sequence[Sweep],
    store: Store,
    notes_folder: Path | None = None,
    imported: Sequence[Run] | None = None,
) -> Journal:
    """Write the journal in one step.

    It holds nothing but what the runs and the notes say: no clock, and no order of files on disk.
    A former journal is replaced and not kept, since the runs and notes that it was written from
    are never changed or deleted by this.

    Args:
        sweeps: Every sweep of the project.
        notes_folder: ``data/journal/notes`` of the project where left out.
        imported: Runs from elsewhere; those of the project's table and of W&B where left out.

    Raises:
        StoreError: The disk is full; the former journal is as it was.
    """
    ordered = sorted(sweeps, key=lambda sweep: sweep.name)
    stored = {sweep.name: read_runs(sweep.experiments, store) for sweep in ordered}
    everything = [item for of_sweep in stored.values() for item in of_sweep]
    comparisons, problems = compare_everything(from_store(everything), store, imported)
    names = {item.name for item in everything}
    names |= {run.name for comparison in comparisons for run in comparison.runs}
    notes = read_notes(notes_folder or project_root() / NOTES, names)
    planned = {
        sweep: missing
        for sweep, of_sweep in stored.items()
        if (missing := [item.name for item in of_sweep if item.status == "missing"])
    }
    text = journal_text(comparisons, planned, notes, problems)
    path = store.reports / FILE
    changed = not path.is_file() or path.read_bytes() != text.encode()
    if changed:
        write_bytes(path, text.encode())
    return Journal(path, text, changed, tuple(comparisons), tuple(notes))


def journal_text(
    comparisons: Sequence[Comparison],
    planned: Mapping[str, Sequence[str]],
    notes: Sequence[Note] = (),
    problems: Sequence[str] = (),
) -> str:
    """The whole journal. The same runs and notes give the same bytes.

    ``planned`` are the names of experiments that have not run, by sweep, and ``problems`` say what
    could not be read.
    """
    names = {run.name for comparison in comparisons for run in comparison.runs}
    factors = {answer.factor for comparison in comparisons for answer in comparison.answers}

    def unplaced(note: Note) -> str:
        """Why a note stands at the end; '' where it has a place."""
        if note.kind == "experiment" and note.subject not in names:
            return f"{note.subject} has not run yet"
        if note.kind == "question" and note.subject not in factors:
            return f"nothing was run that asks about {factor_words(note.subject)} yet"
        return note.problem

    template = markdown_environment().get_template("journal.md.j2")
    text = template.render(
        vars(entries),
        comparisons=comparisons,
        planned=planned,
        notes=notes,
        unplaced=[(note, reason) for note in notes if (reason := unplaced(note))],
        problems=problems,
        notes_folder=NOTES.as_posix(),
        most_rows=MOST_ROWS,
    )
    return tidy(text) + "\n"


def read_notes(folder: Path, experiments: Collection[str]) -> list[Note]:
    """Every note of a folder, which need not exist, in order of names.

    A note that is about none of the experiments, or cannot be placed otherwise, is kept too.
    """
    if not folder.is_dir():
        return []
    files = sorted(folder.glob("*.md"), key=lambda file: file.name)
    return [_read(file, experiments) for file in files if not file.name.startswith(".")]


def _read(file: Path, experiments: Collection[str]) -> Note:
    name, text, subject = printable(file.name, lines=False), "", ""
    try:
        text = printable(file.read_bytes().decode("utf-8-sig", errors="replace"))
        front_matter = _FRONT_MATTER.match(text)
        if front_matter is None:
            return Note(name, text)
        text = text[front_matter.end() :]
        match yaml.safe_load(front_matter.group(1)):
            case None:
                return Note(name, text)
            case {"experiment": value, **others} if not others:
                subject = str(value)
                if subject in experiments:
                    return Note(name, text, "experiment", subject)
                known = sorted(experiments)
                hint = did_you_mean(subject, known) if known else "there are none yet"
                problem = f"there is no experiment '{subject}'; {hint}"
            case {"question": value, **others} if not others:
                subject = str(value)
                return Note(name, text, "question", factor_named(subject))
            case _:
                problem = "its front matter has to be 'experiment: NAME' or 'question: FACTOR'"
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
    except yaml.YAMLError as error:
        problem = f"its front matter is no YAML: {str(error).splitlines()[0]}"
    except ComparisonError as error:
        problem = f"there is no question '{subject}'; {error.problem}"
    return Note(name, text, "unknown", subject, problem)
