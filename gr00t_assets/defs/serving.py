"""Whether the Dagster that launched a run is still there.

``dagster dev`` that is stopped, or killed, leaves the runs that it launched: their code server ends
only after them, hours later. A training ends with the processes that it was launched by, with a
checkpoint, and is asked for again when Dagster is back.
"""

import os
import re
import subprocess

import dagster as dg

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.processes import is_alive
from gr00t_assets.defs.failures import ExplainedInterruptError
from gr00t_assets.defs.training_runs import by_a_server

_DAGSTER = re.compile(r"(^|[\s/])dagster([-_](daemon|webserver))?\s")


class Serving:
    """The processes of Dagster above this one, for as long as a run is carried out.

    Those are the code servers, and ``dagster dev`` or the daemon that keeps them; what is above
    those, such as a terminal, is no matter. A run of ``dagster asset materialize`` has none.

    Args:
        run: The run that this process carries out.
        experiment: Whose training is to be stopped, for the message.
    """

    def __init__(self, run: dg.DagsterRun, experiment: str) -> None:
        self._experiment = experiment
        self._needed = by_a_server(run)
        self._processes = _dagster_above() if self._needed else []

    def check(self) -> None:
        """Do nothing while they are all there.

        Raises:
            ExplainedInterruptError: One of them has ended.
        """
        if self._needed and not (self._processes and all(map(is_alive, self._processes))):
            raise ExplainedInterruptError(
                TrainingError(
                    self._experiment,
                    "the Dagster that launched this run was stopped.",
                    ["it is asked for again when Dagster is back, and goes on from its checkpoint"],
                )
            )


def _dagster_above() -> list[int]:
    """Ancestors of this process up to the first that is none of Dagster's, the nearest first."""
    found: list[int] = []
    process = os.getppid()
    while process > 1:
        listing = subprocess.run(
            ["ps", "-ww", "-o", "ppid=,args=", "-p", str(process)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        parent, _, command = listing.stdout.strip().partition(" ")
        if not parent.isdecimal() or not _DAGSTER.search(command):
            break
        found.append(process)
        process = int(parent)
    return found
