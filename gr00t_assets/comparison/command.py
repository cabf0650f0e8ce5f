"""``gr00t-assets compare``: print the comparison and write the report."""

import json
import sys
from collections.abc import Sequence

from gr00t_assets.comparison.console import console, print_table
from gr00t_assets.comparison.report import Report, write_report
from gr00t_assets.experiments.sweeps import find_sweep, load_sweeps
from gr00t_assets.project import Store


def run_compare(sweep_names: Sequence[str] | None = None, as_json: bool = False) -> int:
    """Compare the runs of the named sweeps, or of every sweep that has one.

    The report is written for every sweep that has a run; what is printed is that of the named
    ones. The last line is ``report: PATH``. As JSON, one object is printed instead, with the
    report's path and, by sweep, headline, cautions and rows.

    Returns:
        Exit code: 0 also where runs are missing, stale or failed, which the comparison reports.

    Raises:
        SweepError: A sweep file is wrong, or there is no sweep of a name.
        StoreError: The disk is full.
    """
    sweeps = load_sweeps()
    asked = [find_sweep(name, sweeps).name for name in sweep_names or ()]
    report = write_report(list(sweeps.values()), Store.from_environment(), asked)
    names = asked or list(report.tables)
    if as_json:
        sys.stdout.write(json.dumps(_as_json(report, names), indent=2, allow_nan=False) + "\n")
        return 0
    out = console()
    if not names:
        known = ", ".join(sweeps) or "none"
        out.print(f"No experiment has a run yet. Sweeps: {known}", highlight=False)
    for section in report.sections:
        if section.name in names:
            print_table(section.table, f"Sweep {section.name}", section.headline, out)
            for caution in section.cautions:
                out.print(f"  caution: {caution}", style="yellow", highlight=False, markup=False)
            out.print()
    sys.stdout.write(f"report: {report.path}\n")
    return 0


def _as_json(report: Report, names: Sequence[str]) -> dict:
    return {
        "report": str(report.path),
        "sweeps": {
            section.name: {
                "headline": section.headline,
                "cautions": section.cautions,
                "rows": json.loads(section.table.to_json(orient="records") or "[]"),
            }
            for section in report.sections
            if section.name in names
        },
    }
