"""The ranking by open-loop error beside that by loss, and where the two disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gr00t_assets.comparison.contrasts.ranking import RankedConfiguration
from gr00t_assets.comparison.wording import label, names_in_words
from gr00t_assets.evaluation.agreement import Agreement, agreement
from gr00t_assets.evaluation.result import Baseline, Estimate, Evaluation

NEITHER_IS_SUCCESS = "Neither a training loss nor an open-loop error is success on a robot."


@dataclass(frozen=True)
class EvaluatedConfiguration:
    """One evaluated configuration.

    Attributes:
        evaluation: Of the first of its replicates that was evaluated.
        by_error: Place by open-loop error among the evaluated ones.
        by_loss: Place by loss among the same ones.
    """

    ranked: RankedConfiguration
    evaluation: Evaluation
    by_error: int
    by_loss: int

    @property
    def error(self) -> Estimate:
        """Open-loop error, normalised."""
        return self.evaluation.main.error


@dataclass(frozen=True)
class EvaluationRanking:
    """The evaluated configurations of one class, the lowest open-loop error first.

    Attributes:
        rows: One a configuration; never empty.
        agreement: Whether loss and error order them alike.
        not_evaluated: How many configurations of the class are not among the rows.
    """

    rows: tuple[EvaluatedConfiguration, ...]
    agreement: Agreement
    not_evaluated: int

    @property
    def part(self) -> str:
        """Episodes that the errors are of: ``held out``, or ``seen in training``."""
        return self.rows[0].evaluation.main.part

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """The baselines beside the lowest error."""
        return self.rows[0].evaluation.baselines

    @property
    def limits(self) -> list[str]:
        """What belongs beside the numbers, each sentence once; whose it is where not of all."""
        names: dict[str, list[str]] = {}
        for row in self.rows:
            for limit in row.evaluation.limits:
                names.setdefault(limit, []).append(label(row.ranked.run))
        return [
            limit if len(of) == len(self.rows) else f"{names_in_words(of, 4)}: {limit}"
            for limit, of in names.items()
        ]


def evaluation_ranking(
    ranking: Sequence[RankedConfiguration], evaluations: Mapping[str, Evaluation]
) -> EvaluationRanking | None:
    """The ranking by error of one class; None where nothing was evaluated.

    Errors on held-out episodes are not ranked with errors on episodes that were trained on: where
    some configurations have the first, those alone are taken. ``evaluations`` are by run id.
    """
    evaluated = [
        (ranked, evaluation)
        for ranked in ranking
        if (evaluation := first_evaluation(ranked, evaluations))
    ]
    held_out = [pair for pair in evaluated if pair[1].held_out]
    by_loss = held_out or evaluated
    if not by_loss:
        return None
    by_error = sorted(
        enumerate(by_loss, start=1), key=lambda numbered: numbered[1][1].main.error.mean
    )
    rows = tuple(
        EvaluatedConfiguration(ranked, evaluation, place, place_by_loss)
        for place, (place_by_loss, (ranked, evaluation)) in enumerate(by_error, start=1)
    )
    agree = agreement([(label(row.ranked.run), row.ranked.loss, row.error) for row in rows])
    return EvaluationRanking(rows, agree, not_evaluated=len(ranking) - len(rows))


def first_evaluation(
    ranked: RankedConfiguration, evaluations: Mapping[str, Evaluation]
) -> Evaluation | None:
    """The evaluation of the first evaluated replicate; None where none was evaluated."""
    return next((evaluations[run.run_id] for run in ranked.runs if run.run_id in evaluations), None)
