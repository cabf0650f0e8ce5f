"""``noop_definitions.py`` with ``fault_trainer.py``; experiments tagged ``real`` train natively.

``FAULT_SENSORS=1`` keeps the sensors, which ask again for runs that died.
"""

import os

import dagster as dg

from gr00t_assets.experiments.registry import trainer_named, trainer_names
from gr00t_assets.trainers.native.trainer import NativeTrainer

_native_command = NativeTrainer.command

from gr00t_assets_tests.defs import noop_definitions  # noqa: E402
from gr00t_assets_tests.defs.fault_trainer import instead_of  # noqa: E402

SENSORS = "FAULT_SENSORS"


def _made() -> dg.Definitions:
    for name in trainer_names():
        type(trainer_named(name)).command = instead_of(_native_command)
    real = noop_definitions.defs
    return dg.Definitions(
        assets=real.assets,
        asset_checks=real.asset_checks,
        jobs=real.jobs,
        sensors=real.sensors if SENSORS in os.environ else None,
        resources=real.resources,
        executor=real.executor,
    )


defs = _made()
