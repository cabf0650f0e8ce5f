"""An evaluation as a process of its own: its command, its GPU slot, and what it runs.

``python -m gr00t_assets.evaluation.worker RUN_DIRECTORY [SETTINGS_JSON [--again] [STEP ...]]``; the
step ``final`` stands for the final weights, which are evaluated where none is given. Exit code 0:
every evaluation is there. 1: one cannot be made, with the explained error on standard error, where
progress goes too. 130: stopped on request; those that were done are there.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError, system_errors_explained
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import escape_output
from gr00t_assets.evaluation.open_loop import (
    current_evaluation,
    evaluate_run,
    finished_spec,
    stored_spec,
)
from gr00t_assets.evaluation.result import EvaluationSettings
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.gpu.devices import CPU, slots_by_device
from gr00t_assets.gpu.slots import Lease, acquire, needed_memory
from gr00t_assets.trainers.process_launcher import cpu_lease, run_on_terminal

AGAIN = "--again"
FINAL = "final"
ALREADY = "already evaluated with these settings; nothing computed"

STOP_GRACE = 10.0
"""Seconds that a stopped evaluation has to end in."""


def evaluate_by_hand(
    run_directory: Path, settings: EvaluationSettings, steps: Sequence[int | None] = (None,)
) -> int:
    """Evaluate a run in a slot of this machine, whatever was evaluated before; the exit code.

    Args:
        run_directory: Of the run.
        settings: What decides the numbers.
        steps: Of its checkpoints; None stands for the final weights.

    Raises:
        EvaluationError: Final weights are asked for, and the run is not finished.
    """
    spec = finished_spec(run_directory) if None in steps else stored_spec(run_directory)
    command = [*evaluation_command(run_directory, settings), AGAIN]
    command += [FINAL if step is None else str(step) for step in steps]
    with evaluation_lease(spec.experiment, Store(Path(spec.store)), print_progress) as lease:
        return run_on_terminal(command, lease, "stopping the evaluation")


def evaluation_command(
    run_directory: Path, settings: EvaluationSettings | None = None
) -> list[str]:
    """The command line that evaluates a run directory, unless the same was evaluated before."""
    command = [sys.executable, "-m", "gr00t_assets.evaluation.worker", str(run_directory)]
    return [*command, (settings or EvaluationSettings()).model_dump_json()]


@contextmanager
def evaluation_lease(
    experiment: Experiment, store: Store, log: Callable[[str], object], run_id: str | None = None
) -> Iterator[Lease]:
    """Hold one GPU slot for the block; on a CPU none, since it takes one thread for a minute.

    ``log`` is given a line when it waits, and ``run_id`` is Dagster's run, for the record.
    """
    if CPU in slots_by_device():
        yield cpu_lease()
        return
    name, memory = f"evaluation of {experiment.name}", needed_memory(experiment)
    with acquire(1, store, name, log, vram_bytes=memory, run_id=run_id) as lease:
        yield lease


def main(arguments: list[str]) -> int:
    """Evaluate one run; see the module."""
    escape_output()
    directory, again = Path(arguments[0]), AGAIN in arguments
    settings = EvaluationSettings.model_validate_json((*arguments[1:], "{}")[0])
    asked = [name for name in arguments[2:] if name != AGAIN] or [FINAL]

    def evaluate() -> None:
        for name in asked:
            step = None if name == FINAL else int(name)
            if step is not None or len(asked) > 1:
                print_progress(f"{name} weights" if step is None else f"weights of step {step}")
            if not again and current_evaluation(directory, settings, step) is not None:
                print_progress(ALREADY)
            else:
                evaluate_run(directory, settings, print_progress, step)

    return exit_code(evaluate, directory)


def exit_code(work: Callable[[], object], directory: Path) -> int:
    """Do a process's work on a run directory: 0, 1 with the explained error, 130 when stopped."""
    try:
        with system_errors_explained(directory):
            work()
    except Gr00tAssetsError as error:
        print_progress(error.explain())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def print_progress(line: str) -> None:
    """A line on standard error at once."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
