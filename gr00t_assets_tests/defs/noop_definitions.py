"""The project's own definitions, whose trainers are all the no-op of ``noop_trainer.py``.

What is left is real: the asset ``checkpoint`` with its tags, partitions from sweep files,
jobs, schedules, slots, guard, and the checks but the one that loads weights. Loaded by ``dagster``
in tests and benchmarks; ``noop_project.py`` makes a project for it.
"""

import sys

import dagster as dg

from gr00t_assets import definitions
from gr00t_assets.defs.assets import training
from gr00t_assets.experiments.registry import trainer_named, trainer_names
from gr00t_assets.runs.run_directory import SPEC
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.base import Trainer
from gr00t_assets.trainers.run_checks import WEIGHTS
from gr00t_assets_tests.defs import noop_trainer


def noop_command(trainer: Trainer, spec: TrainingSpec) -> list[str]:
    """What ``Trainer.command`` gives here, whichever trainer the experiment names."""
    script, spec_file = str(noop_trainer.__file__), spec.run_directory / SPEC
    return [sys.executable, "-S", script, str(spec_file), spec.modality_config.content_hash()]


def _made() -> dg.Definitions:
    for name in trainer_names():
        type(trainer_named(name)).command = noop_command
    training.begin_weights_check = lambda _run_directory: None
    real = definitions.defs
    quick = [
        checks
        for checks in real.asset_checks or ()
        if isinstance(checks, dg.AssetChecksDefinition)
        and all(key.name != WEIGHTS for key in checks.check_keys)
    ]
    return dg.Definitions(
        assets=real.assets,
        asset_checks=quick,
        jobs=real.jobs,
        schedules=real.schedules,
        sensors=real.sensors,
        resources=real.resources,
        executor=real.executor,
    )


defs = _made()
