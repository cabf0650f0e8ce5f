"""A power cut: everything of ``gr00t-assets dev`` killed with -9 at once, and started again."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import dagster as dg

from gr00t_assets.core.project import Store
from gr00t_assets.defs.recovery import dead_worker, remove_run_locks
from gr00t_assets.gpu.slot_files import holders
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets_tests.defs import noop_project as noop
from gr00t_assets_tests.defs.died import made
from gr00t_assets_tests.defs.project import MODULE, Project, make_project
from gr00t_assets_tests.defs.recovery_project import (
    power_cut,
    powered,
    processes,
    quick_monitoring,
    runs,
)
from gr00t_assets_tests.gpu.test_guard import wait_until
from gr00t_assets_tests.small_dataset import small_dataset

LONG = 400.0
DATASET = "drawn"
CATALOG = {DATASET: small_dataset(1)}
NATIVE = {"batch_size": 2, "max_steps": 60, "save_steps": 5, "logging_steps": 1}
HOLDS = """
import sys, time
from pathlib import Path
from gr00t_assets.core.project import Store
from gr00t_assets.defs.recovery import hold_run
hold_run(sys.argv[2], Store(Path(sys.argv[1])))
print("held", flush=True)
time.sleep(500)
"""


def asked_for(project: Project, module: str, names: str) -> None:
    """Launch the job ``sweep`` through the queue, as a shell does."""
    command = ["dagster", "job", "backfill", "-m", module, "-j", "sweep", "--noprompt"]
    home = str(project.root)
    result = project.run(
        sys.executable, "-m", *command, "--partitions", names, DAGSTER_HOME=home, timeout=300
    )
    assert result.returncode == 0, result.stdout


def by_partition(project: Project, name: str) -> list[dg.DagsterRun]:
    """Runs of an experiment, the oldest first."""
    return list(reversed(runs(project, tags={"dagster/partition": name})))


def succeeded(project: Project, *names: str) -> bool:
    return all(by_partition(project, name)[-1].is_success for name in names)


def test_a_lock_tells_whether_a_runs_worker_is_alive(tmp_path: Path):
    store, instance = Store(tmp_path), dg.DagsterInstance.ephemeral()
    run = made(instance)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path), run.run_id], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        (file,) = (tmp_path / "run_workers").glob("*/*.lock")
        assert dead_worker(run.run_id, store) is None, "alive"
        assert dead_worker("another", store) is None, "not known"
        remove_run_locks(dg.DagsterInstance.ephemeral(), store)
        assert file.is_file()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (dead_worker(run.run_id, store) or "").startswith(f"process {process.pid} of ")
    elsewhere = tmp_path / "run_workers" / "another-machine"
    elsewhere.mkdir()
    file.rename(elsewhere / file.name)
    assert dead_worker(run.run_id, store) is None, "elsewhere"
    (elsewhere / file.name).rename(file)
    remove_run_locks(instance, store)
    assert file.is_file(), "the run has not ended"
    instance.report_run_failed(run)
    remove_run_locks(instance, store)
    assert not file.exists()


def test_after_a_power_cut_everything_goes_on(tmp_path: Path):
    variables = {"NOOP_STEP_SECONDS": "0.25", "GR00T_ASSETS_CPU_SLOTS": "2"}
    sweep = noop.noop_sweep("a", "b", "c", "cancelled", steps=200)
    project = noop.noop_project(tmp_path, {"night": sweep}, variables)
    quick_monitoring(project)
    with powered(project, noop.MODULE):
        asked_for(project, noop.MODULE, "a,b,c,cancelled")
        assert wait_until(lambda: len(noop.noop_events(project)) >= 2, LONG)
        assert wait_until(lambda: Counter(status(project))["STARTED"] >= 2, LONG)
        power_cut(project)
    assert processes(project) == []
    assert "STARTED" in status(project), "Dagster does not know yet"
    with project.instance() as instance:
        cancelled = by_partition(project, "cancelled")[0]
        instance.report_run_canceling(cancelled)
    with powered(project, noop.MODULE):
        assert wait_until(lambda: succeeded(project, "a", "b", "c"), LONG), status(project)
        assert wait_until(lambda: not holders(project.store), 240)
        assert wait_until(lambda: compared_since_the_last(project), LONG), "no comparison"
    for name in ("a", "b", "c"):
        first, *later = by_partition(project, name)
        assert len(later) <= 1, "asked for once"
        (directory,) = (project.store.root / "runs" / name).iterdir()
        assert read_metrics(directory).columns["step"].tolist() == list(range(1, 201))
        if later:
            assert later[0].tags["gr00t/retry_of"] == first.run_id
            assert later[0].tags["gr00t/retry_number"] == "1"
    dead = [run for run in runs(project) if run.status == dg.DagsterRunStatus.FAILURE]
    assert len(dead) >= 2
    assert any(
        "carried out this run and is gone: it was killed" in said(project, run) for run in dead
    )
    (closed,) = by_partition(project, "cancelled")
    assert closed.status == dg.DagsterRunStatus.CANCELED
    assert noop.most_at_once(after_the_cut(project)) <= 2


def status(project: Project) -> list[str]:
    return [run.status.value for run in runs(project)]


def said(project: Project, run: dg.DagsterRun) -> str:
    with project.instance() as instance:
        events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return " ".join(str(each.dagster_event and each.dagster_event.message) for each in events)


def compared_since_the_last(project: Project) -> bool:
    """Whether a comparison was begun by itself after the last checkpoint had arrived."""
    with project.instance() as instance:
        compared = instance.get_latest_materialization_event(dg.AssetKey("loss_comparison"))
        trained = instance.get_latest_materialization_event(dg.AssetKey("checkpoint"))
    return bool(compared and trained and compared.timestamp > trained.timestamp)


def after_the_cut(project: Project) -> list[dict]:
    """What trained after everything was killed: those before it never said that they ended."""
    events = noop.noop_events(project)
    second = [index for index, event in enumerate(events) if event["step"] > 0]
    return events[min(second) :]


def test_losses_after_a_power_cut_are_those_of_a_run_without_one(tmp_path: Path):
    """The same experiment twice: one is cut, the other is not."""
    defaults = {"dataset": DATASET, "report_to": "none", "hyperparameters": NATIVE}
    entries = [{"name": "cut"}, {"name": "whole"}]
    sweep = {"defaults": defaults, "experiments": entries}
    project = make_project(tmp_path, CATALOG, {"night": sweep})
    quick_monitoring(project)
    for asset in ("dataset", "modality_config", "frame_cache"):
        result = project.materialize(asset, DATASET, timeout=600)
        assert result.returncode == 0, result.stdout
    runs_of = project.store.root / "runs"
    with powered(project, MODULE):
        asked_for(project, MODULE, "cut")
        complete = "cut/*/checkpoints/[!.]*/complete.json"
        assert wait_until(lambda: any(runs_of.glob(complete)), LONG)
        power_cut(project)
    (directory,) = (runs_of / "cut").iterdir()
    manifest = load_manifest(directory)
    assert manifest is None or manifest.status != "finished", "the power went too late"
    with powered(project, MODULE):
        assert wait_until(lambda: succeeded(project, "cut"), LONG), status(project)
    result = project.materialize("checkpoint", "whole", timeout=600)
    assert result.returncode == 0, result.stdout
    (whole,) = (runs_of / "whole").iterdir()
    losses, unbroken = read_metrics(directory).columns, read_metrics(whole).columns
    for name in ("step", "loss"):
        assert losses[name].tolist() == unbroken[name].tolist()
    assert losses["step"].tolist() == list(range(1, 61))
    manifest = load_manifest(directory)
    assert manifest is not None and manifest.attempts == 2
    starts = [json.loads(line) for line in (directory / "attempts.jsonl").read_text().splitlines()]
    assert len(starts) == 2
