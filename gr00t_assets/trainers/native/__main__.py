"""``python -m gr00t_assets.trainers.native SPEC.json``: train by hand, without Dagster.

With ``--profile N`` behind it N steps are profiled instead: the folder ``profile`` beside the spec
gets a trace and a table, and the run directory is left as it is.

Exit code 0: finished, or finished before. 1: failed, with the explained error on standard error.
130: stopped on request after writing a checkpoint; the same command goes on from there.
"""

import sys
from functools import partial
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError, TrainingError, system_errors_explained
from gr00t_assets.core.text import escape_output
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets.trainers.attempt import train_main
from gr00t_assets.trainers.nodes import is_process


def _run(arguments: list[str], spec: TrainingSpec) -> Manifest:
    # Here, so that a wrong spec is told without waiting for torch, and several processes are
    # started without what only they need.
    settings = spec.experiment.hyperparameters
    if settings.num_gpus * settings.nodes > 1 and not is_process():
        from gr00t_assets.trainers.native.launch import launch

        return launch(spec, arguments[0])
    from gr00t_assets.trainers.native.native_run import follow_spec, run_spec
    from gr00t_assets.trainers.native.processes import joined

    with joined() as processes:
        if processes.is_first:
            return run_spec(spec, processes)
        follow_spec(spec, processes)
    raise SystemExit(0)


def _profile(file: Path, steps: str) -> int:
    escape_output()
    try:
        spec = load_spec(file)
        if not steps.isdecimal() or not int(steps):
            raise TrainingError("--profile", f"'{steps}' is not a number of steps.", ["write 20"])
        from gr00t_assets.trainers.native.profiling import profile_steps

        with system_errors_explained(file.parent):
            folder = file.parent / "profile"
            table = profile_steps(spec, int(steps), folder)
    except Gr00tAssetsError as error:
        sys.stderr.write(error.explain() + "\n")
        return 1
    sys.stdout.write(f"{table}\n{folder}\n")
    return 0


def main(arguments: list[str]) -> int:
    """Run one spec; see the module."""
    if len(arguments) == 3 and arguments[1] == "--profile":
        return _profile(Path(arguments[0]), arguments[2])
    code = train_main(arguments, "gr00t_assets.trainers.native", partial(_run, arguments))
    # One of several processes that stops on request has not failed; the manifest says what it was.
    return 0 if code == 130 and is_process() else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
