"""The page: every comparison and every sweep in one HTML file that works offline.

Scripts and figures inside the page are compressed, and a browser unpacks them by itself. Plotly's
whole JavaScript has 4.8 MB; gzipped and in base64 it has 2.0 MB. The smaller bundles that Plotly's
authors build are not in the Python package. ``DecompressionStream`` is in Chromium since 80, Safari
since 16.4 and Firefox since 113, and works for a file opened from disk.
"""

import base64
import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from gr00t_assets.comparison import wording
from gr00t_assets.comparison.answers import headline
from gr00t_assets.comparison.columns import RankedRun, row_remark
from gr00t_assets.comparison.comparison import Comparison
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.effects import Verdict
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass, RankedConfiguration
from gr00t_assets.comparison.success_ranking import SuccessAgreement, SuccessRanking
from gr00t_assets.reporting import (
    effect_table,
    evaluation_ranking,
    markdown,
    plots,
    ranking_table,
    summaries,
)
from gr00t_assets.reporting.effect_table import BADGES, IntervalAxis, VerdictBadge, interval_axis
from gr00t_assets.reporting.summaries import SweepSummary, status_counts
from gr00t_assets.runs.final_loss import Answer
from gr00t_assets.runs.stored_run import STATUS_WORDS

if TYPE_CHECKING:
    import jinja2

STORE = "store"  # Key of the comparison of the store's runs; every other one is of imported runs
CARDS = 3  # Classes on the first screen; the others are ranked below
_VERDICTS: tuple[Verdict, ...] = ("controlled", "confounded", "inconclusive")
UNRANKED = 200  # Runs without a rank that are listed one by one at most


PERCENT_AXIS = IntervalAxis(0.0, 100.0, is_logarithmic=False)  # For shares in a table's cells


class Video(NamedTuple):
    """A video of one episode: what it shows, and its address inside the page or beside it."""

    caption: str
    address: str


def ranking_axis(ranking: Sequence[RankedConfiguration]) -> IntervalAxis | None:
    """The axis of the losses of one class; None where they have no logarithm."""
    return interval_axis((ranked.loss.mean, ranked.interval) for ranked in ranking)


def render_page(
    comparisons: Sequence[Comparison],
    sweeps: Sequence[SweepSummary],
    sweep_names: Sequence[str],
    price: summaries.Price | None = None,
    problems: Sequence[str] = (),
    videos: Mapping[tuple[str, str], Sequence[Video]] | None = None,
) -> str:
    """The whole page; everything that comes from files is escaped.

    ``sweeps`` are reported, ``sweep_names`` are of every one; ``problems`` say what was left out;
    ``videos`` are by experiment and environment.
    """
    reported = {item.sweep.name for item in sweeps}
    not_ranked = {item.key: item.not_ranked for item in comparisons}
    if STORE in not_ranked:  # with the experiments that have not run
        not_ranked[STORE] = tuple(run for sweep in sweeps for run in sweep.runs if not run.finished)
    template = page_environment().get_template("page.html.j2")
    return template.render(
        comparisons=comparisons,
        sweeps=sweeps,
        without_runs=[name for name in sweep_names if name not in reported],
        costs={item.key: summaries.configuration_costs(item.runs, price) for item in comparisons},
        unranked=not_ranked,
        price=price,
        problems=problems,
        videos=videos or {},
        figures=[],
        status_words=STATUS_WORDS,
        said={limit for item in comparisons for answer in item.answers for limit in answer.limits},
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


@cache
def page_environment() -> "jinja2.Environment":
    """Templates of the page."""
    return markdown.template_environment(
        wording, headline, effect_table, evaluation_ranking, markdown, plots, ranking_table,
        summaries, sys.modules[__name__], autoescape=True,
    )  # fmt: skip


def first_ranked(comparisons: Sequence[Comparison]) -> Comparison | None:
    """What the first screen is about: the first with a finished run, else the first."""
    ranked = (comparison for comparison in comparisons if comparison.ranked_classes)
    return next(ranked, comparisons[0] if comparisons else None)


def heading(comparisons: Sequence[Comparison]) -> str:
    """The one sentence of the first screen: what is best, and whether that is known."""
    first = first_ranked(comparisons)
    if first is None:
        return "No experiment has a run yet."
    text = first.success[0].headline if first.success else loss_heading(first)
    if first.key == STORE:
        return text
    return f"Nothing in the store has finished. Of {first.title}: {text}"


def loss_heading(first: Comparison) -> str:
    """What is best by loss, and whether that is known."""
    if (count := len(first.ranked_classes)) < 2:
        return first.headline
    known = sum(item.best is not None for item in first.ranked_classes) or "none"
    kinds = f"The lowest loss of each of {count} kinds of runs"
    return f"{kinds}; {known} of them known to be the best."


def answer_badge(answer: Answer, words: Sequence[str]) -> VerdictBadge:
    """Yes, no or cannot be told, each in its own words, as a verdict."""
    place = get_args(Answer).index(answer)
    return BADGES[_VERDICTS[place]]._replace(word=words[place])


def agreement_badge(item: SuccessAgreement) -> VerdictBadge:
    """Whether a lower loss or error meant more success."""
    words = ("{} and success agree", "{} and success disagree", "{} and success: cannot be told")
    return answer_badge(item.answer, [form.format(item.measure) for form in words])


def success_sentence(ranked_class: ComparabilityClass, success: Sequence[SuccessRanking]) -> str:
    """The success of the lowest loss of a class; '' where nothing was rolled out."""
    for item in success:
        if row := item.place(ranked_class.ranking[0]):
            return f"Its success is {row.words}, place {row.place} of {len(item.rows)}."
    return ""


def best_badge(item: ComparabilityClass) -> VerdictBadge:
    """Whether the first of a ranking is known to be the best, as a verdict with other words."""
    if len(item.ranking) < 2:
        return BADGES["not_comparable"]._replace(word="the only one that finished")
    if item.best is not None:
        return BADGES["controlled"]._replace(word="the best by more than noise")
    noise = item.spread.deviation is not None and any(place.tied for place in item.ranking)
    badge = BADGES["within_noise" if noise else "inconclusive"]
    return badge._replace(word="not known to be the best")


def summary(comparisons: Sequence[Comparison], sweeps: Sequence[SweepSummary]) -> str:
    """How many runs of each status, and how many imported ones, in a line."""
    counts = [status_counts(status for sweep in sweeps for status in sweep.counts.elements())]
    counts += [f"{len(item.runs)} imported" for item in comparisons if item.key != STORE]
    return " · ".join(filter(None, counts)) or "no runs"


def unranked_reason(run: Run) -> str:
    """Why a run has no rank."""
    return row_remark(RankedRun(run)) or "" if run.stored else ranking_table.record_note([run])


def compressed(content: bytes) -> str:
    """Gzip in base64; the same bytes always give the same text."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def compressed_json(value: Any) -> str:
    """A value as JSON, compressed; ValueError where a number in it is not finite."""
    return compressed(json.dumps(value, separators=(",", ":"), allow_nan=False).encode())


@cache
def compressed_plotly() -> str:
    """Plotly's JavaScript from the installed package, compressed; about 2.0 MB."""
    from plotly.offline import get_plotlyjs

    return compressed(get_plotlyjs().encode())
