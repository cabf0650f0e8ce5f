"""``gr00t-assets journal``: write the research journal, and print it where that is asked for."""

import sys

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.sweeps import load_sweeps
from gr00t_assets.reporting.journal.write import write_journal


def run_journal(print_it: bool = False) -> int:
    """Write the journal; the last line says where it is and whether it changed.

    Args:
        print_it: Print the journal itself instead, such as for a pipe.

    Returns:
        Exit code 0.

    Raises:
        SweepError: A sweep file is wrong.
        StoreError: The disk is full.
    """
    journal = write_journal(list(load_sweeps().values()), Store.from_environment())
    if print_it:
        sys.stdout.write(journal.text)
        return 0
    unplaced = [note for note in journal.notes if note.problem]
    for note in unplaced:
        sys.stdout.write(f"note {note.name} is at the end: {note.problem}\n")
    state = "written" if journal.changed else "unchanged"
    sys.stdout.write(f"journal {state}: {journal.path}\n")
    return 0
