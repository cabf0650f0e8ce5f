"""An evaluation or rollouts as a process of its own: its command, its GPU slot, and what it runs.

``python -m gr00t_assets.evaluation.worker RUN_DIRECTORY [SETTINGS_JSON [STEP ...]]``, with
``--environment NAME`` for rollouts in it; the step ``final`` stands for the final weights, which
are taken where none is given. What was made before with the same settings is not made again but
with ``--again``. Exit code 0: everything asked for is there. 1: something cannot be made, with the
explained error on standard error, where progress goes too. 130: stopped on request; those that were
done are there.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError, system_errors_explained
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import escape_output
from gr00t_assets.environments.environment_file import load_environments
from gr00t_assets.evaluation.open_loop import current_evaluation, evaluate_run, spec_and_weights
from gr00t_assets.evaluation.result import EvaluationSettings
from gr00t_assets.evaluation.rollouts.result import RolloutSettings
from gr00t_assets.evaluation.rollouts.rollouts import current_rollouts, roll_out_run
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.gpu.devices import CPU, slots_by_device
from gr00t_assets.gpu.slots import Lease, acquire
from gr00t_assets.trainers.process_launcher import cpu_lease, run_on_terminal

EVALUATED_ALREADY = "already evaluated with these settings; nothing computed"
ROLLED_OUT_ALREADY = "already rolled out with these settings; nothing computed"

STOP_GRACE = 10.0  # Seconds that a stopped evaluation has to end in


def evaluate_by_hand(
    run_directory: Path,
    settings: EvaluationSettings | RolloutSettings,
    steps: Sequence[int | None] = (None,),
    environment: str | None = None,
) -> int:
    """Evaluate a run in a slot of this machine, whatever was evaluated before; the exit code.

    The steps are of its checkpoints, None for the final weights; ``CheckpointError`` of any that it
    does not have. It is rolled out where an environment is named, else evaluated open loop.
    """
    spec, *_ = [spec_and_weights(run_directory, step)[0] for step in steps]
    command = [*evaluation_command(run_directory, settings, environment), "--again"]
    command += ["final" if step is None else str(step) for step in steps]
    with evaluation_lease(spec.experiment, Store(Path(spec.store)), print_progress) as lease:
        stopped = "the rollouts" if environment else "the evaluation"
        return run_on_terminal(command, lease, f"stopping {stopped}")


def evaluation_command(
    run_directory: Path,
    settings: EvaluationSettings | RolloutSettings,
    environment: str | None = None,
) -> list[str]:
    """The command line for a run's final weights, unless the same was evaluated before."""
    command = [sys.executable, "-m", "gr00t_assets.evaluation.worker", str(run_directory)]
    simulated = ["--environment", environment] if environment else []
    return [*command, settings.model_dump_json(), *simulated]


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
    name, memory = f"evaluation of {experiment.name}", experiment.vram_bytes
    with acquire(1, store, name, log, vram_bytes=memory, run_id=run_id) as lease:
        yield lease


def main(arguments: list[str]) -> int:
    """Evaluate one run, or roll it out; see the module."""
    escape_output()
    parser = ArgumentParser(prog="python -m gr00t_assets.evaluation.worker")
    parser.add_argument("directory", type=Path)
    parser.add_argument("settings", nargs="?", default="{}")
    parser.add_argument("steps", nargs="*")
    parser.add_argument("--environment")
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_intermixed_args(arguments)
    steps = [None if name == "final" else int(name) for name in asked.steps] or [None]
    try:
        with system_errors_explained(asked.directory):
            for step in steps:
                if asked.environment is None and asked.steps not in ([], ["final"]):
                    print_progress("final weights" if step is None else f"weights of step {step}")
                _evaluate(asked.directory, asked.settings, step, asked.again, asked.environment)
    except Gr00tAssetsError as error:
        print_progress(error.explain())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _evaluate(
    directory: Path, content: str, step: int | None, again: bool, simulated: str | None
) -> None:
    if simulated is None:
        settings = EvaluationSettings.model_validate_json(content)
        if not again and current_evaluation(directory, settings, step) is not None:
            return print_progress(EVALUATED_ALREADY)
        evaluate_run(directory, settings, print_progress, step)
        return
    asked = (load_environments().get(simulated), RolloutSettings.model_validate_json(content), step)
    if not again and current_rollouts(directory, *asked) is not None:
        return print_progress(ROLLED_OUT_ALREADY)
    roll_out_run(directory, *asked, log=print_progress)


def print_progress(line: str) -> None:
    """A line on standard error at once."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
