"""Definitions with an asset that runs a trainer script; loaded by ``dagster`` in tests.

``TRAINER`` has the script, ``GR00T_ASSETS_STORE`` the store. The file ``held`` in the run directory
has the number of slots that are held when the last observation is made.
"""

import os
import sys

import dagster as dg

from gr00t_assets.defs import launching
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.launching import ProgressEvents, run_training, training_failure
from gr00t_assets.defs.resources import StoreResource, resources
from gr00t_assets.gpu.slot_files import holders
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets_tests.defs.specs import a_spec


class WatchedEvents(ProgressEvents):
    def observe(self, *, last: bool = False) -> None:
        if last:
            (self._directory / "held").write_text(str(len(holders())))
        super().observe(last=last)


launching.ProgressEvents = WatchedEvents


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["lr1e-3"]))
@explained
def checkpoint(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    spec = a_spec(store.root)
    place_spec(spec)
    command = [sys.executable, "-c", os.environ["TRAINER"], str(spec.run_directory)]
    code, lines = run_training(context, command, spec)
    if code:
        raise training_failure(spec, code, None, lines)
    return dg.MaterializeResult()


@dg.asset
def compared() -> None:
    return None


defs = dg.Definitions(
    assets=[checkpoint, compared], resources=resources, executor=dg.in_process_executor
)
