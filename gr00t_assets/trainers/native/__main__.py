"""``python -m gr00t_assets.trainers.native SPEC.json``: train by hand, without Dagster.

Exit code 0: finished, or finished before. 1: failed, with the explained error on standard error.
130: stopped on request after writing a checkpoint; the same command goes on from there.
"""

import sys

from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import train_main


def _run(spec: TrainingSpec) -> Manifest:
    # Here, so that a wrong spec is told without waiting for torch.
    from gr00t_assets.trainers.native.native_run import run_spec

    return run_spec(spec)


def main(arguments: list[str]) -> int:
    """Run one spec; see the module."""
    return train_main(arguments, "gr00t_assets.trainers.native", _run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
