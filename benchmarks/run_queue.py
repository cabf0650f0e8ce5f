"""Many experiments of a no-op trainer through the real queue: what each costs, and who waits.

``python benchmarks/run_queue.py [--experiments 200] [--slots 4] [--seconds 10] [--postgres]
[--engine local|slurm|ray] [--minutes M]`` starts ``gr00t-assets dev`` in a temporary project, asks
for all experiments with one asset backfill as the page does, and prints a table: overhead a run,
idle time of a slot between two trainings, the most trainings at once, and how long the page took to
answer meanwhile. Overhead a run is wall seconds times slots divided by runs, less the seconds that
the no-op holds its slot for. With another engine than this machine the same number of jobs that
only sleep goes through the bare engine first: what it takes for itself. With ``--minutes`` only the
first M minutes after all were queued are looked at, for queues of many hours.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # the no-op trainer is part of the tests; this file is no module `queue`

from gr00t_assets_tests.defs.dagster_dev import Page, dagster_dev
from gr00t_assets_tests.defs.noop_project import most_at_once, noop_events, noop_project, noop_sweep
from gr00t_assets_tests.defs.postgres import postgres, postgres_lacks, use_postgres
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.defs.recovery_project import processes
from gr00t_assets_tests.engines.ray_cluster import ray_cluster, ray_lacks
from gr00t_assets_tests.engines.runs_on_engine import write_engines
from gr00t_assets_tests.engines.slurm_cluster import SlurmCluster, slurm_cluster, slurm_lacks

OPEN = ["NOT_STARTED", "QUEUED", "STARTING", "STARTED", "CANCELING"]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0, help="that a no-op holds its slot")
    parser.add_argument("--postgres", action="store_true", help="PostgreSQL in place of SQLite")
    parser.add_argument("--settings", help="a dagster.yaml in place of the checked-in one")
    parser.add_argument("--engine", choices=["local", "slurm", "ray"], default="local")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    needed = {"slurm": slurm_lacks, "ray": ray_lacks, "local": lambda: None}[options.engine]
    if lacks := needed() or (postgres_lacks() if options.postgres else None):
        sys.exit(lacks)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        Path(folder).chmod(0o755)
        project = prepare(Path(folder) / "project", options)
        if options.postgres:
            use_postgres(project, servers.enter_context(postgres(Path(folder) / "postgres")))
        own = use_engine(project, options, servers)
        measured = measure(project, options)
        measured.engine = own
        report(project, measured, options)


def prepare(root: Path, options: argparse.Namespace) -> Project:
    """A project with one sweep of so many experiments, on so many slots."""
    root.mkdir()
    names = [f"run-{number:03d}" for number in range(options.experiments)]
    variables = {
        "GR00T_ASSETS_CPU_SLOTS": str(options.slots),
        "NOOP_STEP_SECONDS": str(options.seconds),
    }
    project = noop_project(root, {"noop": noop_sweep(*names)}, variables)
    if options.settings:
        (root / "dagster.yaml").write_text(Path(options.settings).read_text())
    return project


def use_engine(project: Project, options: argparse.Namespace, servers: ExitStack) -> float | None:
    """Start the engine and have the project use it; the overhead of a bare job there, seconds.

    None for this machine.
    """
    if options.engine == "local":
        return None
    few = {"cpus": 1, "memory_gb": 0.1, "jobs_at_once": 2 * options.slots}
    if options.engine == "slurm":
        cluster = servers.enter_context(slurm_cluster(options.slots))
        project.variables.update(cluster.variables)  # type: ignore[attr-defined]
        write_engines(project.root, lab={"kind": "slurm", "partition": "gpu", **few})
        began, runs = time.monotonic(), options.experiments
        sleep_in_slurm(cluster, runs, options.seconds)
        return (time.monotonic() - began) * options.slots / runs - options.seconds
    variables = {"PYTHONPATH": str(ROOT), **project.environment()}
    cluster = servers.enter_context(ray_cluster(variables, gpus=options.slots, cpus=64))
    write_engines(project.root, lab={"kind": "ray", "address": cluster.address, **few})
    return sleep_in_ray(cluster.address, options)


def sleep_in_slurm(cluster: SlurmCluster, jobs: int, seconds: float) -> None:
    """Submit jobs that sleep on a GPU, one by one, and wait for them all."""
    for _ in range(jobs):
        cluster.command("sbatch", "--gres=gpu:1", "--output=/dev/null", f"--wrap=sleep {seconds}")
    while cluster.jobs("pending,running,completing,configuring"):
        time.sleep(0.5)


def sleep_in_ray(address: str, options: argparse.Namespace) -> float:
    """The same in Ray; the overhead of a bare job, seconds."""
    jobs_api, began = f"{address}/api/jobs/", time.monotonic()
    jobs = [f"sleep-{number}" for number in range(options.experiments)]
    needs = {"entrypoint_num_cpus": 1, "entrypoint_num_gpus": 1}
    for job in jobs:
        command = f"sleep {options.seconds}"
        asked = {"entrypoint": command, "submission_id": job, **needs}
        requests.post(jobs_api, json=asked).raise_for_status()
    while any(
        requests.get(jobs_api + job).json().get("status") in ("PENDING", "RUNNING") for job in jobs
    ):
        time.sleep(0.5)
    wall = time.monotonic() - began
    return wall * options.slots / options.experiments - options.seconds


@dataclass
class Measured:
    """What was seen from outside, in seconds since the epoch or seconds."""

    requested: float = 0.0
    queued: float = 0.0
    ended: float = 0.0
    looked_at: float = 0.0
    processor: dict[str, float] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    graphql: list[float] = field(default_factory=list)
    page: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    engine: float | None = None


def measure(project: Project, options: argparse.Namespace) -> Measured:
    """Run them all, or as many as end in time, and watch."""
    measured, experiments = Measured(), options.experiments
    names = [f"run-{number:03d}" for number in range(experiments)]
    with dagster_dev(project) as page, looking(page, measured):
        before, measured.looked_at = processor_seconds(page), time.time()
        measured.requested = time.time()
        page.backfill(names)
        while not measured.ended:
            time.sleep(max(5, experiments / 20))  # The answer about all of them is work, too.
            runs = page.trainings(limit=2 * experiments + 100)
            if len(runs) >= experiments and not measured.queued:
                measured.queued = time.time()
                if options.minutes < float("inf"):
                    before, measured.looked_at = processor_seconds(page), time.time()
                    measured.graphql, measured.page = [], []
            if measured.queued and all(run["status"] not in OPEN for run in runs):
                measured.ended = max(run["endTime"] or 0 for run in runs)
            elif measured.queued and time.time() - measured.queued > 60 * options.minutes:
                measured.ended = time.time()
            if measured.ended:
                for run in runs:
                    measured.statuses[run["status"]] = measured.statuses.get(run["status"], 0) + 1
                    assert run["tags"].get("gpu") == "true", run
        after = processor_seconds(page)
        measured.processor = {kind: after[kind] - before[kind] for kind in after}
        measured.looked_at = time.time() - measured.looked_at
    return measured


def processor_seconds(page: Page) -> dict[str, float]:
    """Of the page, the daemon, the code server, and the runs, which it has collected."""
    seconds: dict[str, float] = dict.fromkeys(("page", "daemon", "code server", "runs"), 0.0)
    tick = os.sysconf("SC_CLK_TCK")
    for pid in processes(page.project):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text()
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        fields = [int(field) / tick for field in stat.rsplit(")", 1)[1].split()[11:15]]
        kinds = {
            "gr00t_assets.cli.main": "page",
            "dagster._daemon": "daemon",
            "api\0grpc": "code server",
        }
        kind = next((kind for word, kind in kinds.items() if word in command), None)
        if kind is not None:
            seconds[kind] += sum(fields[:2])
            seconds["runs"] += sum(fields[2:])
    return seconds


@contextmanager
def looking(page: Page, measured: Measured) -> Iterator[None]:
    """Ask for the newest runs, and for the page itself, every two seconds, as a person would."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(2):
            for taken, ask in ((measured.graphql, _runs), (measured.page, _page)):
                began = time.perf_counter()
                ask(page)
                taken.append(time.perf_counter() - began)
            measured.load.append(os.getloadavg()[0])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _runs(page: Page) -> None:
    page.runs(limit=25)


def _page(page: Page) -> None:
    with urllib.request.urlopen(f"{page.address}/runs", timeout=120) as response:
        assert response.status == 200 and b"<html" in response.read()


def idle_seconds(events: list[dict[str, Any]]) -> list[float]:
    """Seconds that each slot stood free between two trainings."""
    ended: dict[str, float] = {}
    idle = []
    for event in events:
        # A job of another engine has its GPU alone, and no slot of this machine.
        for slot in event["slots"] or [str(event["devices"])]:
            if event["event"] == "end":
                ended[slot] = event["time"]
            elif slot in ended:
                idle.append(event["time"] - ended[slot])
    return idle


def report(project: Project, measured: Measured, options: argparse.Namespace) -> None:
    """Print the table."""
    events = noop_events(project)
    starts = [event["time"] for event in events if event["event"] == "start"]
    trained = len({event["experiment"] for event in events if event["event"] == "end"})
    runs, idle = trained, idle_seconds(events)
    wall = measured.ended - measured.requested
    steady = events[-1]["time"] - starts[0]
    overhead = [taken * options.slots / runs - options.seconds for taken in (wall, steady)]
    storage = "PostgreSQL" if options.postgres else "SQLite"
    rows = {
        f"{storage}, runs of {options.seconds:g} s": f"{options.experiments}",
        "slots": f"{options.slots}",
        "runs by status": ", ".join(f"{n} {name}" for name, n in measured.statuses.items()),
        "experiments trained, trainings": f"{trained}, {len(starts)}",
        "most at once": f"{most_at_once(events)}",
        "wall, from the request to the end": f"{wall:.1f} s",
        "  until all runs were queued": f"{measured.queued - measured.requested:.1f} s",
        "  until the first training": f"{starts[0] - measured.requested:.1f} s",
        "wall a run": f"{wall / runs:.2f} s",
        "overhead a run, from the request": f"{overhead[0]:.2f} s",
        "overhead a run, first start to last end": f"{overhead[1]:.2f} s",
        f"overhead a job of the bare {options.engine}": "not another engine"
        if measured.engine is None
        else f"{measured.engine:.2f} s",
        "processor seconds a run": f"{sum(measured.processor.values()) / runs:.2f} s: "
        + ", ".join(f"{kind} {taken / runs:.2f}" for kind, taken in measured.processor.items()),
        "daemon, page and code server, shares of a core": ", ".join(
            f"{measured.processor[kind] / measured.looked_at:.1%}"
            for kind in ("daemon", "page", "code server")
        ),
        "slot idle between two runs": _spread(idle),
        "GraphQL, newest 25 runs": _spread(measured.graphql),
        "page": _spread(measured.page),
        "load of the machine, cores": f"{_median(measured.load):.1f}, {os.cpu_count()}",
    }
    for name, value in rows.items():
        print(f"{name:<42} {value}")


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "not measured"
    ninth = sorted(seconds)[int(len(seconds) * 0.9)]
    return f"median {_median(seconds):.2f} s, nine in ten {ninth:.2f} s, most {max(seconds):.2f} s"


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


if __name__ == "__main__":
    main()
