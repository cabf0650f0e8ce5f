"""The Dagster layer, the only place that imports dagster.

``dagster>=1.13,<1.14`` is pinned for what is used of Dagster that is not public. Imports from
``dagster._`` and ``dagster_shared`` have it, and the tests named here notice where it changes:

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
  is looked at before anything is written there (``test_odd_machines.py``).
- ``WorkspaceProcessContext``, ``WorkspaceFileTarget``: the code location that a run from a shell
  is submitted for (``test_sweep_run.py``).
- ``DATA_VERSION_TAG``, ``CODE_VERSION_TAG``, ``INPUT_...``: tags of what is reported outside a
  run (``test_rematerialize.py``), by the methods ``get_latest_data_version_record`` of an instance
  and ``get_latest_tags_by_partition`` of its storage (``test_staleness.py``).
- ``page`` has what ``dagster dev`` and ``dagster-webserver`` are made of
  (``test_security_page.py``).

What takes long to import, as storages do, is imported by the module alone that needs it.
"""
