"""What this project uses of Dagster that is not public, each with its reason.

``dagster>=1.13,<1.14`` is pinned for it, and the tests named here notice where it changes. Nothing
else in this package imports from ``dagster._core`` or ``dagster_shared``, except for
``gr00t_assets.defs.page``, which only ``gr00t-assets dev`` loads.

- ``CheckRunHealthResult``, ``WorkerStatus``: what a run launcher answers when run monitoring asks
  whether a run's process lives (``test_recovery.py``).
- ``RunQueueConfig``: what a run coordinator answers when the daemon asks for its limits
  (``test_queue.py``).
- ``DagsterUserCodeProcessError``, ``SerializableErrorInfo``: an error of another process, whose
  message Dagster shows without a stack of its own (``test_failures.py``).
- ``JobFailureData``, ``RunFailureReason``: why a run failed that has no failed step
  (``test_sensors.py``).
- ``BulkActionsFilter``, ``BulkActionStatus``: to list the backfills that are at work
  (``test_schedules.py``).
- ``DagsterSqliteStorage``, ``ConfigurableClassData``: the storage of ``dagster.yaml``, whose path
  is looked at before anything is written there (``test_storage.py``).
- ``WorkspaceProcessContext``, ``WorkspaceFileTarget``: the code location that a run from a shell
  is submitted for (``test_sweep_run.py``).
- ``DATA_VERSION_TAG``, ``CODE_VERSION_TAG``, ``INPUT_...``: tags of what is reported outside a
  run (``test_rematerialize.py``), by the methods ``get_latest_data_version_record`` of an instance
  and ``get_latest_tags_by_partition`` of its storage (``test_staleness.py``).
"""

import warnings

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
)
from dagster._core.errors import DagsterUserCodeProcessError
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._serdes import ConfigurableClassData
from dagster_shared.error import SerializableErrorInfo

__all__ = [
    "CODE_VERSION_TAG",
    "DATA_VERSION_TAG",
    "INPUT_DATA_VERSION_TAG_PREFIX",
    "INPUT_EVENT_POINTER_TAG_PREFIX",
    "PARTITION_TAG",
    "PRIORITY_TAG",
    "BulkActionStatus",
    "BulkActionsFilter",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "DagsterSqliteStorage",
    "DagsterUserCodeProcessError",
    "JobFailureData",
    "RunFailureReason",
    "RunQueueConfig",
    "SerializableErrorInfo",
    "WorkerStatus",
    "WorkspaceFileTarget",
    "WorkspaceProcessContext",
]

PARTITION_TAG = "dagster/partition"
PRIORITY_TAG = "dagster/priority"
"""Tags of a run that Dagster documents and has no public constant for."""

# Partitioned asset checks are a preview in 1.13, and Pipes uses one itself; the pin on 1.13 is what
# these warnings ask for.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
