"""Rollouts as a process of their own, with progress and explained errors on standard error.

Exit code 0: the file of the rollouts is there. 1: the run cannot be rolled out. 130: stopped on
request, with nothing written.
"""

import sys
from pathlib import Path

from gr00t_assets.core.project import Store
from gr00t_assets.core.text import escape_output
from gr00t_assets.environments.environment_file import load_environments
from gr00t_assets.evaluation.open_loop import stored_spec
from gr00t_assets.evaluation.rollouts.result import RolloutSettings
from gr00t_assets.evaluation.rollouts.rollouts import current_rollouts, roll_out_run
from gr00t_assets.evaluation.worker import FINAL, evaluation_lease, exit_code, print_progress
from gr00t_assets.trainers.process_launcher import run_on_terminal

ALREADY = "already rolled out with these settings; nothing computed"


def roll_out_by_hand(
    run_directory: Path, environment: str, settings: RolloutSettings, step: int | None = None
) -> int:
    """Roll out a run in a slot of this machine, whatever was rolled before; the exit code."""
    spec = stored_spec(run_directory)
    command = [*rollout_command(run_directory, environment, settings, step), "--again"]
    with evaluation_lease(spec.experiment, Store(Path(spec.store)), print_progress) as lease:
        return run_on_terminal(command, lease, "stopping the rollouts")


def rollout_command(
    run_directory: Path, environment: str, settings: RolloutSettings, step: int | None = None
) -> list[str]:
    """The command line that rolls out a run, unless the same was rolled out before."""
    command = [sys.executable, "-m", "gr00t_assets.evaluation.rollouts.worker"]
    asked = [str(run_directory), environment, settings.model_dump_json()]
    return [*command, *asked, FINAL if step is None else str(step)]


def main(arguments: list[str]) -> int:
    """Roll out one run; see the module."""
    escape_output()
    directory, name, settings, step, *again = arguments

    def roll_out() -> None:
        asked = RolloutSettings.model_validate_json(settings)
        environment = load_environments().get(name)
        what = Path(directory), environment, asked, None if step == FINAL else int(step)
        if not again and current_rollouts(*what) is not None:
            print_progress(ALREADY)
        else:
            roll_out_run(*what, log=print_progress)

    return exit_code(roll_out, Path(directory))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
