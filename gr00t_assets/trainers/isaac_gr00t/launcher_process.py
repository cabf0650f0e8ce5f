"""The launcher as a process: started under the checkout's Python, followed, asked to stop."""

import os
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import Any

from gr00t_assets.core.files import write_json
from gr00t_assets.core.processes import ends_within
from gr00t_assets.gpu.guard import guarded
from gr00t_assets.runs.metrics import MetricTail
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import StopRequest
from gr00t_assets.trainers.failures.explain import MAX_LOG_LINES
from gr00t_assets.trainers.failures.failure_pattern import clean_lines
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import LAYOUT
from gr00t_assets.trainers.isaac_gr00t.launch_file import FOLDER, LAUNCH
from gr00t_assets.trainers.reporter import Reporter
from gr00t_assets.trainers.run_files import complete_checkpoints, drop_old_checkpoints

LAUNCHER = Path(__file__).parent / "launcher" / "launcher.py"
"""Not imported here: it is for the checkout's Python."""

_UNSET_VARIABLES = (
    "WANDB_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "VIRTUAL_ENV", "PYTHONHOME",
)  # fmt: skip
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


def run_launcher(
    launch: dict[str, Any],
    environment: IsaacEnvironment,
    reporter: Reporter,
    stop: StopRequest,
    spec: TrainingSpec,
) -> tuple[int, list[str]]:
    """Run the launcher to its end, passing on what it prints and logs; delete old checkpoints.

    It has a guard of its own, so that it is gone when this process is, however that ends. A request
    to stop reaches it through a file, which all processes of torchrun see at the same step.

    Returns:
        Its exit code, 0 finished, 130 stopped on request, else failed; and the end of its output.
    """
    folder = spec.run_directory / FOLDER
    stop_file = Path(launch["stop_file"])
    for left_over in (stop_file, Path(launch["facts"])):
        left_over.unlink(missing_ok=True)
    write_json(folder / LAUNCH, launch)
    metrics, gpus = MetricTail(spec.run_directory), int(launch["arguments"]["num_gpus"])
    command = [str(environment.python)]
    if gpus > 1:
        # torchrun starts one process a GPU.
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={gpus}"]
    inherited = {name: os.environ[name] for name in os.environ if name not in _UNSET_VARIABLES}
    process = subprocess.Popen(
        guarded([*command, str(LAUNCHER), str(folder / LAUNCH)]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**_LIBRARY_SETTINGS, **inherited, "PYTHONUNBUFFERED": "1"},
        close_fds=False,
        start_new_session=True,
    )
    last_lines: deque[str] = deque(maxlen=MAX_LOG_LINES)

    def copy_output() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            last_lines.append(line.decode(errors="replace").rstrip())
            for shown in clean_lines([last_lines[-1]]):
                reporter.say(shown)

    reader = threading.Thread(target=copy_output, daemon=True)
    reader.start()
    newest: list[Path] = []

    def follow() -> None:
        nonlocal newest
        for metric in metrics.new():
            reporter.forward(metric)
            reporter.step(metric.step, metric.loss)
        before, newest = newest, complete_checkpoints(spec.run_directory, LAYOUT)[-1:]
        if newest != before:
            keep = spec.experiment.hyperparameters.save_total_limit
            drop_old_checkpoints(spec.run_directory, keep, LAYOUT)

    try:
        while not ends_within(process, _POLL):
            follow()
            if stop.asked:
                stop_file.touch()
    except BaseException:
        process.kill()
        raise
    reader.join(timeout=10)
    follow()
    return process.returncode, list(last_lines)
