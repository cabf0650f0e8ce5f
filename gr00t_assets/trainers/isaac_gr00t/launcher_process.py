"""The launcher as a process: started under the checkout's Python, followed, asked to stop."""

import os
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.processes import ends_within
from gr00t_assets.gpu.guard import guarded
from gr00t_assets.runs.metrics import MetricTail
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import StopRequest
from gr00t_assets.trainers.failures.explain import MAX_LOG_LINES, explain
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.launch_file import FOLDER, LAUNCH, Launch, write_launch
from gr00t_assets.trainers.reporter import Reporter

LAUNCHER = Path(__file__).parent / "launcher" / "launcher.py"
"""Not imported here: it is for the checkout's Python."""

_UNSET_VARIABLES = (
    "WANDB_API_KEY",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "VIRTUAL_ENV",
    "PYTHONHOME",
)
"""The launcher reaches neither W&B nor the Hub; the last two name this package's own Python."""

_LIBRARY_SETTINGS = {
    "TOKENIZERS_PARALLELISM": "false",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
"""Keep libraries of the checkout from filling the log with advice, and from asking the network."""

_POLL = 0.2
"""Seconds between two looks at the metrics."""


@dataclass(frozen=True)
class LauncherEnd:
    """How the launcher ended.

    Attributes:
        code: Its exit code: 0 finished, 130 stopped on request, else failed.
        last_lines: The end of its output.
    """

    code: int
    last_lines: list[str]

    def error(self, spec: TrainingSpec) -> TrainingError:
        """The explanation of its failure."""
        return explain(self.last_lines, self.code, spec).error(spec.experiment.name)


def launcher_command(launch: Launch, file: Path, environment: IsaacEnvironment) -> list[str]:
    """The command line; torchrun starts one process a GPU where there are several."""
    gpus = int(launch.arguments["num_gpus"])
    python = [str(environment.python)]
    if gpus > 1:
        python += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={gpus}"]
    return [*python, str(LAUNCHER), str(file)]


def run_launcher(
    launch: Launch,
    environment: IsaacEnvironment,
    reporter: Reporter,
    stop: StopRequest,
    spec: TrainingSpec,
) -> LauncherEnd:
    """Run the launcher to its end, passing on what it prints and logs.

    It has a guard of its own, so that it is gone when this process is, however that ends. A request
    to stop reaches it through a file, which all processes of torchrun see at the same step.
    """
    folder = spec.run_directory / FOLDER
    Path(launch.stop_file).unlink(missing_ok=True)
    Path(launch.facts).unlink(missing_ok=True)
    write_launch(launch, folder / LAUNCH)
    metrics = MetricTail(spec.run_directory)
    process = subprocess.Popen(
        guarded(launcher_command(launch, folder / LAUNCH, environment)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_variables(),
        close_fds=False,
        start_new_session=True,
    )
    last_lines: deque[str] = deque(maxlen=MAX_LOG_LINES)
    reader = threading.Thread(
        target=_copy_output, args=(process, reporter, last_lines), daemon=True
    )
    reader.start()
    try:
        while not ends_within(process, _POLL):
            _forward(metrics, reporter)
            if stop.asked:
                Path(launch.stop_file).touch()
    except BaseException:
        process.kill()
        raise
    reader.join(timeout=10)
    _forward(metrics, reporter)
    return LauncherEnd(process.returncode, list(last_lines))


def _forward(metrics: MetricTail, reporter: Reporter) -> None:
    for metric in metrics.new():
        reporter.forward(metric)
        reporter.step(metric.step, metric.loss)


def _variables() -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in _UNSET_VARIABLES and not name.startswith("DAGSTER_PIPES_")
    }
    return {**_LIBRARY_SETTINGS, **inherited, "PYTHONUNBUFFERED": "1"}


def _copy_output(
    process: subprocess.Popen[bytes], reporter: Reporter, last_lines: deque[str]
) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        text = line.decode(errors="replace").rstrip()
        last_lines.append(text)
        reporter.say(text)
