"""The asset ``loss_comparison``: one report over every experiment of every sweep."""

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from gr00t_assets.defs.assets.checkpoints import checkpoint
from gr00t_assets.defs.assets.datasets import OWNERS
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import image
from gr00t_assets.defs.partitions import SWEEPS
from gr00t_assets.defs.resources import StoreResource

if TYPE_CHECKING:
    from gr00t_assets.comparison.report import Report
    from gr00t_assets.comparison.runs import Run


@dg.asset(
    deps=[dg.AssetDep(checkpoint, partition_mapping=dg.AllPartitionMapping())],
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
    counts = Counter(run.status for run in runs)
    context.log.info(f"{len(SWEEPS)} sweeps; " + _in_words(counts))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(_version(runs)),
        metadata={
            "report": dg.MetadataValue.path(str(report.path)),
            "experiments": len({run.name for run in runs}),
            **{f"runs_{status}": counts[status] for status in ("finished", "missing", "failed")},
            "runs_other": sum(counts.values())
            - sum(counts[status] for status in ("finished", "missing", "failed")),
            "status": _in_words(counts),
            **_sections(report),
        },
    )


def _sections(report: "Report") -> dict[str, dg.MetadataValue]:
    from gr00t_assets.comparison.plots import curves_png

    sections: dict[str, dg.MetadataValue] = {}
    for sweep in report.tables:
        sections[f"table {sweep}"] = dg.MetadataValue.md(report.markdown(sweep))
        drawn = [run for run in report.runs[sweep] if run.metrics]
        if drawn:
            sections[f"curves {sweep}"] = image(curves_png(drawn), f"training loss of {sweep}")
    return sections


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "no runs"


def _version(runs: "list[Run]") -> str:
    """A hash over what was compared: the same runs give the same version."""
    content = [
        [run.name, run.config_hash, run.status, run.final_loss.mean if run.final_loss else None]
        for run in runs
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
