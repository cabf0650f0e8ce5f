"""Real runs of an asset ``checkpoint`` that end in every way, on a real instance."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedFailureError
from gr00t_assets.defs.launching import training_failure
from gr00t_assets.defs.training_runs import trains
from gr00t_assets_tests.defs.specs import a_spec

GONE = "Detected run worker status FAILED: 'process 1 is gone'"
NAMES = ["first", "second", "third"]


def made(
    instance: dg.DagsterInstance,
    experiment: str = "first",
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    tags: Mapping[str, str] | None = None,
    page: bool = False,
) -> dg.DagsterRun:
    """A run of the job ``sweep``, or such as the page or a backfill launches for an asset."""
    asked = frozenset([dg.AssetKey("checkpoint")]) if page else None
    return create_run_for_test(
        instance,
        job_name="__ASSET_JOB" if page else "sweep",
        status=status,
        asset_selection=asked,
        tags={"dagster/partition": experiment, **(tags or {})},
    )


def died(instance: dg.DagsterInstance, experiment: str = "first", **more: Any) -> dg.DagsterRun:
    """A run whose worker was found dead."""
    run = made(instance, experiment, **more)
    instance.report_run_failed(run, GONE)
    return run


def failed(
    instance: dg.DagsterInstance, error: BaseException, experiment: str = "first", **tags: str
) -> dg.DagsterRun:
    """A run whose step raised ``error``."""

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(NAMES))
    def checkpoint() -> None:
        raise error

    job = dg.define_asset_job("sweep", selection=[checkpoint])
    resolved = dg.Definitions(assets=[checkpoint], jobs=[job]).resolve_job_def("sweep")
    result = resolved.execute_in_process(
        instance=instance, partition_key=experiment, raise_on_error=False, tags=tags
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None and run.status == dg.DagsterRunStatus.FAILURE
    assert trains(run), (run.job_name, run.asset_selection)
    return run


def trainer_ended(store: Store, program: str, experiment: str = "first") -> ExplainedFailureError:
    """What the asset raises when a trainer ended so; the trainer is a real process."""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    code = result.returncode if result.returncode >= 0 else 128 - result.returncode
    spec = a_spec(store.root, name=experiment)
    return training_failure(spec, code, None, result.stderr.splitlines())


def killed_by(number: int = signal.SIGKILL) -> str:
    """A program that a signal ends."""
    return f"""
import os, signal
if {number} != signal.SIGKILL:
    signal.signal({number}, signal.SIG_DFL)
os.kill(os.getpid(), {number})
"""
