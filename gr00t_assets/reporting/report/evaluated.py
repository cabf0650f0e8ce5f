"""The ranking by open-loop error beside that by loss, and where the two disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr00t_assets.comparison.answers.words import label, loss_words
from gr00t_assets.comparison.contrasts.ranking import Ranked
from gr00t_assets.comparison.findings import loss_text
from gr00t_assets.evaluation.agreement import agreement

if TYPE_CHECKING:
    from gr00t_assets.evaluation.result import Estimate, Evaluation


NEITHER = "Neither a training loss nor an open-loop error is success on a robot."


@dataclass(frozen=True)
class EvaluatedRow:
    """One evaluated configuration.

    Attributes:
        by_error: Place by open-loop error among the evaluated ones.
        by_loss: Place by loss among the same ones.
        beaten: For each baseline its words, its error and whether the policy errs less.
    """

    name: str
    run_id: str
    by_error: int
    by_loss: int
    error: "Estimate"
    loss: str
    beaten: tuple[tuple[str, float, str], ...]
    language: str

    @property
    def shown(self) -> str:
        """The error with its standard error."""
        return loss_text(self.error.mean, self.error.standard_error)


@dataclass(frozen=True)
class EvaluatedTable:
    """The evaluated configurations of one class, the lowest open-loop error first.

    Attributes:
        part: Episodes that the errors are of: ``held out``, or ``seen in training``.
        agreement: Whether loss and error order them alike, in a sentence.
        disagree: Whether they disagree beyond noise.
        baselines: Error of each baseline by its words, of the first row.
        limits: What belongs beside the numbers, each sentence once.
    """

    part: str
    rows: tuple[EvaluatedRow, ...]
    agreement: str
    disagree: bool
    baselines: Mapping[str, float]
    limits: tuple[str, ...]
    not_evaluated: int


def evaluated_table(
    ranked: Sequence[Ranked], evaluations: "Mapping[str, Evaluation]"
) -> EvaluatedTable | None:
    """The table of one class; None where nothing was evaluated.

    Of replicates the first that was evaluated stands for all. Errors on held-out episodes are not
    ranked with errors on episodes that were trained on: where some have the first, those alone are
    taken.
    """
    found = [(each, evaluation) for each in ranked if (evaluation := _first(each, evaluations))]
    held = [pair for pair in found if pair[1].held_out]
    found = held or found
    if not found:
        return None
    places = {id(each): place for place, (each, _) in enumerate(found, start=1)}
    found.sort(key=lambda pair: pair[1].main.error.mean)
    rows = tuple(
        EvaluatedRow(
            name=label(each.observation),
            run_id=evaluation.config_hash,
            by_error=place,
            by_loss=places[id(each)],
            error=evaluation.main.error,
            loss=loss_words(each.observations),
            beaten=tuple((one.name, one.error.mean, one.beaten) for one in evaluation.baselines),
            language=evaluation.language_used,
        )
        for place, (each, evaluation) in enumerate(found, start=1)
    )
    held_together = agreement(
        [(label(each.observation), each.loss, one.main.error) for each, one in found]
    )
    return EvaluatedTable(
        part=found[0][1].main.part,
        rows=rows,
        agreement=held_together.sentence,
        disagree=bool(held_together.disagreeing),
        baselines={name: error for name, error, _ in rows[0].beaten},
        limits=tuple(dict.fromkeys(limit for _, each in found for limit in each.limits)),
        not_evaluated=len(ranked) - len(found),
    )


def _first(each: Ranked, evaluations: "Mapping[str, Evaluation]") -> "Evaluation | None":
    return next(
        (evaluations[run.run_id] for run in each.observations if run.run_id in evaluations), None
    )
