"""Rollouts as a process of their own, with progress and explained errors on standard error.

Exit code 0: the file of the rollouts is there. 1: the run cannot be rolled out. 130: stopped on
request, with nothing written.
"""

import sys
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.core.system_errors import system_errors_explained
from gr00t_assets.core.text import escape_output
from gr00t_assets.environments.environment_file import load_environments
from gr00t_assets.evaluation.open_loop import stored_spec
from gr00t_assets.evaluation.rollouts.result import RolloutSettings
from gr00t_assets.evaluation.rollouts.rollouts import current_rollouts, roll_out_run
from gr00t_assets.evaluation.worker import evaluation_lease
from gr00t_assets.trainers.process_launcher import run_on_terminal

ALREADY = "already rolled out with these settings; nothing computed"


def roll_out_by_hand(
    run_directory: Path, environment: str, settings: RolloutSettings, step: int | None = None
) -> int:
    """Roll out a run in a slot of this machine, whatever was rolled before; the exit code."""
    spec = stored_spec(run_directory)
    command = [*rollout_command(run_directory, environment, settings, step), "--again"]
    with evaluation_lease(spec.experiment, Store(Path(spec.store)), _print) as lease:
        return run_on_terminal(command, lease, "stopping the rollouts")


def rollout_command(
    run_directory: Path, environment: str, settings: RolloutSettings, step: int | None = None
) -> list[str]:
    """The command line that rolls out a run, unless the same was rolled out before."""
    command = [sys.executable, "-m", "gr00t_assets.evaluation.rollouts.worker"]
    asked = [str(run_directory), environment, settings.model_dump_json()]
    return [*command, *asked, "final" if step is None else str(step)]


def main(arguments: list[str]) -> int:
    """Roll out one run; see the module."""
    escape_output()
    directory, name, settings, step, *again = arguments
    try:
        with system_errors_explained(Path(directory)):
            asked = RolloutSettings.model_validate_json(settings)
            environment = load_environments().get(name)
            what = Path(directory), environment, asked, None if step == "final" else int(step)
            if not again and current_rollouts(*what) is not None:
                _print(ALREADY)
            else:
                roll_out_run(*what, log=_print)
    except Gr00tAssetsError as error:
        _print(error.explain())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _print(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
