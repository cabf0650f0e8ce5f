"""A person's own notes: ``data/journal/notes/*.md``, read and placed, and never changed.

A note may begin with front matter that says what it is about::

    ---
    experiment: demo-b8-lr1e-3
    ---

or ``question: batch_size``. A note without front matter is about the work as a whole.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from gr00t_assets.comparison.contrasts.factors import factor_named
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.names import did_you_mean

FOLDER = Path("data/journal/notes")
"""In the project."""

NoteKind = Literal["experiment", "question", "general", "unknown"]

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Note:
    """One note.

    Attributes:
        name: Of its file.
        text: What the person wrote, without the front matter.
        kind: What it is about; ``unknown`` where that cannot be told.
        subject: Name of the experiment or factor; '' where it has none.
        problem: Why it could not be placed; '' where it could.
    """

    name: str
    text: str
    kind: NoteKind = "general"
    subject: str = ""
    problem: str = ""


def read_notes(folder: Path, experiments: Collection[str]) -> list[Note]:
    """Every note of a folder in order of names; a note that cannot be placed is kept too.

    Args:
        folder: Where the notes are; it need not exist.
        experiments: Names that a note may be about.
    """
    if not folder.is_dir():
        return []
    files = sorted(folder.glob("*.md"), key=lambda file: file.name)
    return [_read(file, experiments) for file in files if not file.name.startswith(".")]


def _read(file: Path, experiments: Collection[str]) -> Note:
    try:
        text = file.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        return Note(file.name, "", "unknown", problem=f"it cannot be read: {error.strerror}")
    front_matter = _FRONT_MATTER.match(text)
    if front_matter is None:
        return Note(file.name, text)
    body = text[front_matter.end() :]
    try:
        fields = yaml.safe_load(front_matter.group(1))
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        return Note(file.name, body, "unknown", problem=f"its front matter is no YAML: {reason}")
    if fields is None:
        return Note(file.name, body)
    if (
        not isinstance(fields, dict)
        or len(fields) != 1
        or not set(fields) <= {"experiment", "question"}
    ):
        problem = "its front matter has to be 'experiment: NAME' or 'question: FACTOR'"
        return Note(file.name, body, "unknown", problem=problem)
    ((kind, value),) = fields.items()
    return _placed(file.name, body, str(kind), str(value), experiments)


def _placed(name: str, text: str, kind: str, value: str, experiments: Collection[str]) -> Note:
    if kind == "experiment":
        if value in experiments:
            return Note(name, text, "experiment", value)
        hint = did_you_mean(value, sorted(experiments)) if experiments else "there are none yet"
        problem = f"there is no experiment '{value}'; {hint}"
        return Note(name, text, "unknown", value, problem)
    try:
        return Note(name, text, "question", factor_named(value))
    except ComparisonError as error:
        return Note(
            name, text, "unknown", value, f"there is no question '{value}'; {error.problem}"
        )


def quoted(note: Note) -> str:
    """A note in a journal, each line quoted, so that its headings stay inside it."""
    lines = [f"> {line}".rstrip() for line in note.text.strip("\r\n").splitlines()]
    return "\n".join([f"> *Note {note.name}*", ">", *(lines or ["> (empty)"])])
