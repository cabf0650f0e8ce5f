"""The command lines that train one spec: a trainer's own, and by hand in a GPU slot."""

import sys
from collections.abc import Callable
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.gpu.slots import acquire, needed_memory
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets.trainers.process_launcher import run_on_terminal


def train_main(
    arguments: list[str], module: str, run_spec: Callable[[TrainingSpec], Manifest]
) -> int:
    """Run the spec whose path is the one argument; ``module`` is for the usage line.

    Returns:
        0: finished or pruned, now or before. 1: failed, with the explained error on standard error.
        130: stopped on request after writing a checkpoint; the same command goes on from there.
        2: wrong arguments.
    """
    if len(arguments) != 1:
        sys.stderr.write(f"usage: python -m {module} SPEC.json\n")
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
    window = manifest.final_loss
    if window is not None:
        error = window.cannot_tell
        spread = f"({error})" if error else f"± {window.standard_error:.4f}"
        sys.stdout.write(
            f"finished: loss {window.mean:.4f} {spread} over the last {window.steps} steps; "
            f"{spec.run_directory}\n"
        )
    return 0


def train_by_hand(spec_file: Path) -> int:
    """Train a spec in slots of this machine, with the output on the terminal.

    Ctrl-C asks the trainer for a checkpoint and waits for it; once more, and it ends without.

    Returns:
        The trainer's exit code: 0 finished, 1 failed, 130 stopped on request.

    Raises:
        SpecError: The file is not a spec.
        TrainingError: Its trainer cannot be started, or the machine lacks the GPUs.
    """
    spec = load_spec(spec_file)
    place_spec(spec)
    experiment = spec.experiment
    command = trainer_named(experiment.trainer).command(spec)
    with acquire(
        experiment.hyperparameters.num_gpus,
        Store(Path(spec.store)),
        experiment.name,
        lambda line: sys.stderr.write(line + "\n"),
        vram_bytes=needed_memory(experiment),
        priority=experiment.priority,
    ) as lease:
        return run_on_terminal(command, lease, "stopping: waiting for a checkpoint")
