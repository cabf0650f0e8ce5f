"""``gr00t-assets journal``: write the research journal, and print it where that is asked for."""

import sys
from typing import Annotated

import typer

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.sweeps import load_sweeps
from gr00t_assets.reporting.journal.research_journal import write_journal


def journal(
    print_it: Annotated[
        bool, typer.Option("--print", help="Print the journal, not where it is")
    ] = False,
) -> None:
    """Write the research journal from the runs, and from the notes in data/journal/notes.

    The last line says where the journal is and whether it changed.
    """
    written = write_journal(list(load_sweeps().values()), Store.from_environment())
    if print_it:
        sys.stdout.write(written.text)
        return
    for note in written.notes:
        if note.problem:
            sys.stdout.write(f"note {note.name} is at the end: {note.problem}\n")
    state = "written" if written.changed else "unchanged"
    sys.stdout.write(f"journal {state}: {written.path}\n")
