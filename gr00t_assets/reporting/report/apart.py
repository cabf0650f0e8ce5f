"""Runs that are set apart: failed, unfinished, stale, missing. They are never ranked."""

from collections.abc import Sequence
from dataclasses import dataclass

from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.findings import loss_text


@dataclass(frozen=True)
class ApartRow:
    """A run that has no rank, with the reason and, in a store, the command that mends it.

    Attributes:
        words: What the status means.
        loss: So far, with its standard error.
    """

    name: str
    status: str
    words: str = ""
    progress: str = ""
    loss: str = ""
    reason: str = ""
    failure: str = ""
    command: str = ""


def apart_rows(observations: Sequence[Observation]) -> list[ApartRow]:
    """The runs of a table that are not ranked, in its order."""
    return [
        ApartRow(
            name=f"{run.name} ({run.run_id})" if run.name != run.run_id else run.name,
            status=run.status,
            progress=f"{run.steps:,} of {run.max_steps:,}" if run.steps and run.max_steps else "",
            loss=loss_text(run.loss.mean, run.loss.standard_error) if run.loss else "",
            reason=" ".join(part for part in (*run.problems, run.note) if part),
        )
        for run in observations
        if not run.finished
    ]
