"""``gr00t-assets sweep list``: the sweeps of a project, and how far each is."""

from collections import Counter
from typing import Any

from gr00t_assets.cli.dataset_list import Json
from gr00t_assets.cli.output import console, plain_table, print_json
from gr00t_assets.core.project import Store
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.runs.stored_run import read_runs


def sweep_list(as_json: Json = False) -> None:
    """Print the sweeps, how many of their experiments are finished, and when they are asked for."""
    store = Store.from_environment()
    rows = [_row(sweep, store) for sweep in read_project().sweeps.values()]
    if as_json:
        print_json(rows)
        return
    table = plain_table("sweep")
    table.add_column("experiments", justify="right")
    table.add_column("finished", justify="right")
    table.add_column("schedule", no_wrap=True)
    table.add_column("description")
    for row in rows:
        schedule = f"{row['schedule']} {row['time_zone']}" if row["schedule"] else ""
        counts = str(row["experiments"]), str(row["statuses"].get("finished", 0))
        table.add_row(row["sweep"], *counts, schedule, row["description"])
    console().print(table if rows else "there is no sweep yet: gr00t-assets sweep new NAME")


def _row(sweep: Sweep, store: Store) -> dict[str, Any]:
    """What is known of a sweep, as JSON has it; of each experiment the newest run counts."""
    newest = {run.name: run for run in reversed(read_runs(sweep.experiments, store, curves=False))}
    return {
        "sweep": sweep.name,
        "file": shown_path(sweep.file),
        "description": sweep.description,
        "experiments": len(sweep.experiments),
        "statuses": dict(Counter(run.status for run in newest.values())),
        "datasets": list(sweep.datasets),
        "schedule": sweep.schedule,
        "time_zone": sweep.time_zone,
    }
