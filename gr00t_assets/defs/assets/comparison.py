"""The asset ``loss_comparison``: one report over every experiment of every sweep."""

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from gr00t_assets.defs.assets.checkpoints import checkpoint
from gr00t_assets.defs.assets.datasets import OWNERS
from gr00t_assets.defs.automation import FOLLOW_CHECKPOINTS
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import INLINE, bullets, in_store, table
from gr00t_assets.defs.partitions import SWEEPS
from gr00t_assets.defs.resources import StoreResource

if TYPE_CHECKING:
    from gr00t_assets.comparison.report import Report
    from gr00t_assets.comparison.run import Run
    from gr00t_assets.comparison.sections import Section


@dg.asset(
    deps=[dg.AssetDep(checkpoint, partition_mapping=dg.AllPartitionMapping())],
    automation_condition=FOLLOW_CHECKPOINTS,
    group_name="analysis",
    kinds={"pandas"},
    owners=OWNERS,
    code_version="1",
)
@explained
def loss_comparison(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """Every experiment's loss beside those it may be compared with, and what the rest lacks.

    It reads run directories and runs with whatever is there: missing, stale, failed and unfinished
    runs are listed, never ranked.
    """
    from gr00t_assets.comparison.report import write_report

    report = write_report(list(SWEEPS.values()), store)
    runs = [run for found in report.runs.values() for run in found]
    # Of the sweeps that the report shows: those that never ran are only counted.
    counts = Counter(run.status for item in report.sections for run in report.runs[item.name])
    context.log.info(f"{len(report.sections)} of {len(SWEEPS)} sweeps; " + _in_words(counts))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(_version(runs)),
        metadata={
            "status": f"{_in_words(counts)}, in {len(report.sections)} of {len(SWEEPS)} sweeps",
            **_sections(report),
            "experiments": len(
                {run.name for item in report.sections for run in report.runs[item.name]}
            ),
            "runs_finished": counts["finished"],
            "report": in_store(report.path, store),
        },
    )


def _sections(report: "Report") -> dict[str, dg.MetadataValue]:
    """For each sweep what is shown in place, and behind a link the whole table and the curves."""
    from gr00t_assets.comparison.plots import curves_png, markdown_image

    sections: dict[str, dg.MetadataValue] = {}
    for section in report.sections:
        name = section.name
        whole = report.markdown(name)
        drawn = [run for run in report.runs[name] if run.metrics]
        if drawn:
            whole += "\n\n" + markdown_image(curves_png(drawn), f"training loss of {name}")
        sections[f"{name}: finding"] = dg.MetadataValue.text(section.headline)
        sections[f"{name}: ranking"] = _ranking(section)
        sections[f"{name}: cautions"] = bullets(section.cautions)
        sections[f"{name}: table and curves"] = dg.MetadataValue.md(whole)
    return sections


def _ranking(section: "Section") -> dg.MarkdownMetadataValue:
    """Rank and loss of as many experiments as are shown in place, best first."""
    from gr00t_assets.comparison.findings import loss_text
    from gr00t_assets.comparison.formatting import shown
    from gr00t_assets.comparison.table import table_rows

    rows = [
        [
            shown(row["rank"], "rank") or row["status"],
            row["experiment"],
            loss_text(row["final_loss"], row["final_loss_se"]).replace(" ", "\N{NO-BREAK SPACE}"),
        ]
        for row in table_rows(section.table)
    ]
    columns = ["rank", "experiment", "loss"]
    for length in range(len(rows), 0, -1):
        cut = [["", f"and {len(rows) - length} more", ""]] if length < len(rows) else []
        ranking = table(columns, [*rows[:length], *cut])
        if len(ranking.md_str or "") < INLINE:
            return ranking
    return bullets([])


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "no runs"


def _version(runs: "list[Run]") -> str:
    """A hash over what was compared: the same runs give the same version."""
    content = [
        [run.name, run.config_hash, run.status, run.final_loss.mean if run.final_loss else None]
        for run in runs
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
