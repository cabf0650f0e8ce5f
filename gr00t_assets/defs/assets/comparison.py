"""The asset ``loss_comparison``: one report over every experiment of every sweep."""

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from gr00t_assets.defs.assets.checkpoints import checkpoint
from gr00t_assets.defs.assets.datasets import OWNERS
from gr00t_assets.defs.assets.evaluation import open_loop_evaluation
from gr00t_assets.defs.automation import FOLLOW_CHECKPOINTS
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import INLINE, bullets, in_store, table
from gr00t_assets.defs.partitions import SWEEPS
from gr00t_assets.defs.resources import StoreResource

if TYPE_CHECKING:
    from gr00t_assets.comparison.run import Run
    from gr00t_assets.reporting.report import Report
    from gr00t_assets.reporting.report.subject import Group

MOST_IMAGES = 6
"""Sweeps whose curves are drawn for the page; the report has them all."""


@dg.asset(
    deps=[
        dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())
        for asset in (checkpoint, open_loop_evaluation)
    ],
    automation_condition=FOLLOW_CHECKPOINTS,
    group_name="analysis",
    kinds={"pandas"},
    owners=OWNERS,
    code_version="2",
)
@explained
def loss_comparison(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """What is best, by how much, whether that is known, and what to run next.

    It reads run directories and runs with whatever is there: missing, stale, failed and unfinished
    runs are listed, never ranked.
    """
    from gr00t_assets.reporting.report import write_report

    report = write_report(list(SWEEPS.values()), store)
    runs = [run for found in report.runs.values() for run in found]
    # Of the sweeps that the report shows: those that never ran are only counted.
    counts = Counter(run.status for item in report.sections for run in report.runs[item.name])
    context.log.info(f"{len(report.sections)} of {len(SWEEPS)} sweeps; " + _in_words(counts))
    for problem in report.problems:
        context.log.warning(problem)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(_version(runs)),
        metadata={
            "verdict": dg.MetadataValue.text(report.verdict),
            **_subjects(report),
            "status": f"{_in_words(counts)}, in {len(report.sections)} of {len(SWEEPS)} sweeps",
            **_cautions(report),
            "curves": _curves(report),
            "everything": dg.MetadataValue.md(report.markdown()),
            "experiments": len(
                {run.name for item in report.sections for run in report.runs[item.name]}
            ),
            "runs_finished": counts["finished"],
            "report": in_store(report.path, store),
        },
    )


def _subjects(report: "Report") -> dict[str, dg.MetadataValue]:
    """Of each subject the answers, its rankings and what to run next."""
    from gr00t_assets.reporting.report.markdown import (
        answers_markdown,
        group_heading,
        proposals_markdown,
    )

    shown: dict[str, dg.MetadataValue] = {}
    for subject in report.subjects:
        about = f"{subject.title}: "
        if subject.answers:
            shown[f"{about}questions and answers"] = dg.MetadataValue.md(answers_markdown(subject))
        for group in subject.groups:
            name = f"{about}ranking of {group_heading(group)} [{group.kind.short_id}]"
            shown[name] = _ranking(group)
        if subject.proposals:
            shown[f"{about}what to run next"] = dg.MetadataValue.md(proposals_markdown(subject))
    return shown


def _ranking(group: "Group") -> dg.MarkdownMetadataValue:
    """Rank and loss of as many configurations as are shown in place, lowest loss first."""
    from gr00t_assets.comparison.answers.words import loss_words
    from gr00t_assets.reporting.report.ranked import shown_name

    rows = [
        [
            f"{each.place}{' ≈' if each.tied_with_best and each.place > 1 else ''}",
            shown_name(each),
            loss_words(each.observations).replace(" ", "\N{NO-BREAK SPACE}"),
        ]
        for each in group.ranked
    ]
    columns = ["rank", "experiment", "loss"]
    for length in range(len(rows), 0, -1):
        cut = [["", f"and {len(rows) - length} more", ""]] if length < len(rows) else []
        ranking = table(columns, [*rows[:length], *cut])
        if len(ranking.md_str or "") < INLINE:
            return ranking
    return bullets([])


def _cautions(report: "Report") -> dict[str, dg.MetadataValue]:
    """Of each sweep, what a reader needs to know before calling one experiment better."""
    return {
        f"{section.name}: cautions": bullets(section.cautions)
        for section in report.sections
        if section.cautions
    }


def _curves(report: "Report") -> dg.MetadataValue:
    """The loss curves of every sweep that has some, as images."""
    from gr00t_assets.reporting.plots import curves_png, markdown_image

    images = [
        markdown_image(curves_png(drawn), f"training loss of {section.name}")
        for section in report.sections[:MOST_IMAGES]
        if (drawn := [run for run in report.runs[section.name] if run.metrics])
    ]
    return dg.MetadataValue.md("\n\n".join(images) or "no loss logged yet")


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "no runs"


def _version(runs: "list[Run]") -> str:
    """A hash over what was compared: the same runs give the same version."""
    content = [
        [run.name, run.config_hash, run.status, run.final_loss.mean if run.final_loss else None]
        for run in runs
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
