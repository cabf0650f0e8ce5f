"""``gr00t-assets compare``: which run is best, by how much, and whether that is known."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    sweep: Annotated[
        list[str] | None, typer.Option(help="A sweep's name; every sweep with runs if left out")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="A CSV file of runs, such as data/journal/runs.csv")
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="Only the answer on one factor: batch_size, steps, warm-up")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="A run, or 'defaults': count what each run has otherwise")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the table of runs: FILE.parquet or FILE.csv")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False,
) -> None:
    """Print the ranked runs of each class and what they answer; write the report of the sweeps."""
    from gr00t_assets.comparison.command import run_compare

    raise typer.Exit(
        run_compare(
            sweep or None,
            as_json,
            runs=runs,
            question=question,
            baseline=baseline,
            export=export,
        )
    )
