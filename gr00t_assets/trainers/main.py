"""The command line that every trainer has: one spec in, an exit code out."""

import sys
from collections.abc import Callable
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.spec import TrainingSpec, load_spec


def train_main(
    arguments: list[str], trainer: str, run_spec: Callable[[TrainingSpec], Manifest]
) -> int:
    """Run one spec.

    Args:
        arguments: The path of a spec and nothing else.
        trainer: Name of the trainer's package, for the usage line.
        run_spec: What trains.

    Returns:
        0: finished or pruned, now or before. 1: failed, with the explained error on standard error.
        130: stopped on request after writing a checkpoint; the same command goes on from there.
        2: wrong arguments.
    """
    if len(arguments) != 1:
        sys.stderr.write(f"usage: python -m gr00t_assets.trainers.{trainer} SPEC.json\n")
        return 2
    try:
        spec = load_spec(Path(arguments[0]))
        manifest = run_spec(spec)
    except Gr00tAssetsError as error:
        sys.stderr.write(error.explain() + "\n")
        return 1
    except KeyboardInterrupt:
        return 130
    if manifest.status == "interrupted":
        return 130
    if manifest.status == "pruned":
        sys.stdout.write(f"{manifest.failure}\n")
        return 0
    if manifest.final_loss is not None:
        sys.stdout.write(
            f"finished: loss {manifest.final_loss.mean:.4f} ± "
            f"{manifest.final_loss.standard_error:.4f} over the last "
            f"{manifest.final_loss.steps} steps; {spec.run_directory}\n"
        )
    return 0
