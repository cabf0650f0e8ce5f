"""Everything that may be said of some runs, computed once; all views are made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gr00t_assets.comparison.answers.answers import Answer, all_answers
from gr00t_assets.comparison.answers.headline import headline
from gr00t_assets.comparison.columns import COLUMNS, RankedRun
from gr00t_assets.comparison.proposals.control_runs import Proposal
from gr00t_assets.comparison.proposals.proposals import proposals
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics import ranking
from gr00t_assets.comparison.statistics.effects import Effect
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.comparison.success_ranking import SuccessRanking, success_rankings
from gr00t_assets.comparison.tables.runs_table import runs_of_frame
from gr00t_assets.comparison.wording import not_ranked_reason, plain
from gr00t_assets.evaluation.result import Evaluation
from gr00t_assets.evaluation.rollouts.result import Rollouts

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """Runs of one origin and any status with all that the comparison says of them."""

    runs: tuple[Run, ...]
    headline: str  # What is best in each class, by loss; what rollouts say comes before it
    classes: tuple[ranking.ComparabilityClass, ...]
    effects: Mapping[str, Sequence[Effect]]  # By the factor asked about, one for each class
    answers: tuple[Answer, ...]
    proposals: tuple[Proposal, ...]
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)  # By run id
    rollouts: Mapping[str, Sequence[Rollouts]] = field(default_factory=dict)  # Of final weights
    success: tuple[SuccessRanking, ...] = ()  # By environment, that with most configurations first
    key: str = "runs"  # Word for anchors; unique on a page
    title: str = "Runs"
    origin: str = ""  # Where the runs come from, a sentence

    @property
    def ranked_classes(self) -> tuple[ranking.ComparabilityClass, ...]:
        """The classes with a finished run."""
        return tuple(item for item in self.classes if item.ranking)

    @property
    def not_ranked(self) -> tuple[Run, ...]:
        """Runs without a place: unfinished, failed, or without a loss."""
        return tuple(run for run in self.runs if not run.finished)

    @property
    def verdict(self) -> str:
        """What succeeds most often and whether loss agrees, then what is best by loss."""
        return " ".join([*(item.verdict for item in self.success), self.headline])

    def to_json(self) -> dict[str, Any]:
        """What ``gr00t-assets compare --json`` prints, without a number that JSON does not have."""
        return {
            "headline": self.verdict,
            "runs": [_run_json(run) for run in self.runs],
            "classes": [_class_json(item) for item in self.classes],
            "not_ranked": [
                {"run_id": run.run_id, "status": run.status, "reason": not_ranked_reason(run)}
                for run in self.not_ranked
            ],
            "questions": to_json(self.answers),
            "proposals": to_json(self.proposals),
            "success": [plain(_success_json(item)) for item in self.success],
        }


def compare(
    runs: "pd.DataFrame | Sequence[Run]",
    evaluations: Mapping[str, Evaluation] | None = None,  # By run id
    rollouts: Mapping[str, Sequence[Rollouts]] | None = None,  # Of the final weights, by run id
    *,
    band: float = ranking.BAND,  # Share by which two losses may differ and still be equally good
    key: str = "runs",
    title: str = "Runs",
    origin: str = "",
) -> Comparison:
    """Compare runs of any status and class; a table has a row a run, as ``data/journal/runs.csv``.

    Raises:
        ComparisonError: The table has no run that can be compared.
    """
    runs = runs if isinstance(runs, Sequence) else runs_of_frame(runs)
    evaluations, rollouts = dict(evaluations or {}), dict(rollouts or {})
    effects, classes = all_effects(runs), ranking.comparability_classes(runs, band)
    return Comparison(
        runs=tuple(runs),
        headline=headline(classes),
        classes=tuple(classes),
        effects=effects,
        answers=tuple(all_answers(runs, effects)),
        proposals=tuple(proposals(runs, effects, classes)),
        evaluations=evaluations,
        rollouts=rollouts,
        success=success_rankings(classes, rollouts, evaluations),
        key=key,
        title=title,
        origin=origin,
    )


def to_json(items: Any) -> Any:
    """Answers, effects, differences or proposals, one or several, as JSON; runs are their ids."""
    if isinstance(items, list | tuple):
        return [to_json(item) for item in items]
    return plain(_adapter(type(items)).dump_python(items, mode="json", by_alias=True))


_adapter = cache(TypeAdapter[Any])


def _run_json(run: Run) -> dict[str, Any]:
    row = RankedRun(run)
    values = {name: item.value(row) for name, item in COLUMNS.items() if name != "rank"}
    more = {name: getattr(run, name) for name in ("max_steps", "data", "settings", "problems")}
    return plain(values | more)


def _class_json(item: ranking.ComparabilityClass) -> dict[str, Any]:
    """One class with its ranking, lowest loss first; errors there are those between runs."""
    return {
        "id": item.id,
        "words": item.comparability,
        "frames": item.frames,
        "runs": [run.run_id for run in item.runs],
        "spread": to_json(item.spread) | {"percent": item.spread.percent},
        "best": item.best.run.run_id if item.best else None,
        "ranking": [_place_json(place, run) for place in item.ranking for run in place.runs],
    }


def _place_json(place: ranking.RankedConfiguration, run: Run) -> dict[str, Any]:
    of_place = ("place", "interval", "expected", "expected_interval", "chance_best", "chance_good",
                "finished", "started", "tied_with_best")  # fmt: skip
    content = {
        **{name: getattr(run, name) for name in ("run_id", "name", "epochs", "samples_seen")},
        **{name: getattr(place, name) for name in of_place},
        "loss": place.loss.mean,
        "standard_error": place.loss.standard_error,
        "run_loss": run.loss.mean if run.loss else None,
        "run_standard_error": run.loss.standard_error if run.loss else None,
        "replicates": len(place.runs),
    }
    return plain(content)


def _success_json(success: SuccessRanking) -> dict[str, Any]:
    return {
        "environment": success.environment,
        "environment_hash": success.environment_hash,
        "headline": success.headline,
        "known": success.known,
        "ranking": [
            {
                "place": row.place,
                "loss_place": row.ranked.place,
                "class": row.class_id,
                "name": row.name,
                "runs": [run.run_id for run in row.ranked.runs],
                **row.success.counts.model_dump(),
                "rate": row.success.rate,
                "interval": row.success.interval,
                "by_seed": [rate.model_dump() for rate in row.success.by_run],
                "mean_score": row.rollouts[0].mean_score,
                "steps_to_success": row.rollouts[0].steps_to_success,
                "beats_baselines": row.beats_baselines,
                "baselines": [
                    {"name": rule.name, **rule.rate.model_dump(), "p": rule.p_value,
                     "beaten": rule.beaten}
                    for rule in row.baselines
                ],
                "against_first": asdict(row.against_first) if row.against_first else None,
            }
            for row in success.rows
        ],
        "agreement": [item._asdict() for item in success.agreements],
        "limits": success.limits,
    }  # fmt: skip
