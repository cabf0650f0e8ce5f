"""Progress of a running training: metrics.jsonl, log.txt and the terminal."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from gr00t_assets.core.text import printable
from gr00t_assets.runs.metrics import Metric, append_held_out_loss, append_metric
from gr00t_assets.runs.run_directory import LOG


class Reporter:
    """Reports logged steps; made by ``reporting``.

    ``progress`` is a rich progress bar and its task, on a terminal. Every line goes to ``log`` as
    well; None where standard output goes there already.
    """

    def __init__(
        self, run_directory: Path, max_steps: int, progress: Any = None, log: TextIO | None = None
    ) -> None:
        self._run_directory, self._max_steps = run_directory, max_steps
        self._progress, self._log = progress, log
        self._listeners: list[Callable[[Metric], None]] = []

    def listen(self, listener: Callable[[Metric], None]) -> None:
        """Call ``listener`` with every logged line from now on; it must not raise."""
        self._listeners.append(listener)

    def say(self, text: str) -> None:
        """One line for a person; control characters in it are shown escaped."""
        text = printable(text)
        if self._progress is not None:
            self._progress[0].console.print(text, highlight=False, markup=False, emoji=False)
        else:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        self._keep(text)

    def step(self, step: int, loss: float | None) -> None:
        """Move the progress bar; called after every step with the newest known loss."""
        if self._progress is not None:
            bar, task = self._progress
            description = "training" if loss is None else f"loss {loss:.4f}"
            bar.update(task, completed=step, description=description)

    def metric(self, metric: Metric) -> None:
        """Keep one logged line, and pass it on."""
        append_metric(metric, self._run_directory)
        self.forward(metric)

    def held_out_loss(self, step: int, loss: float, samples: int) -> None:
        """Keep the loss on held-out episodes after a step."""
        append_held_out_loss(self._run_directory, step, loss, samples)
        self.say(f"step {step}/{self._max_steps}  loss on held-out episodes {loss:.4f}")

    def forward(self, metric: Metric) -> None:
        """Pass on one logged line that is in metrics.jsonl already."""
        for listener in self._listeners:
            listener(metric)
        line = f"step {metric.step}/{self._max_steps}  loss {metric.loss:.4f}  "
        line += f"grad norm {metric.grad_norm:.3f}  lr {metric.learning_rate:.2e}  "
        line += f"{metric.wall_seconds:.1f} s"
        if self._progress is None:
            self.say(line)
        else:
            self._keep(line)

    def _keep(self, text: str) -> None:
        if self._log is not None:
            self._log.write(text + "\n")
            self._log.flush()


@contextmanager
def reporting(run_directory: Path, max_steps: int) -> Iterator[Reporter]:
    """A reporter for as long as training lasts, with a progress bar on a terminal."""
    with ExitStack() as stack:
        log = progress = None
        if not _is_standard_output(run_directory / LOG):
            log = stack.enter_context((run_directory / LOG).open("a", encoding="utf-8"))
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

            description, bar, _, remaining = Progress.get_default_columns()
            columns = (description, bar, MofNCompleteColumn(), TimeElapsedColumn(), remaining)
            shown = stack.enter_context(Progress(*columns, console=Console(stderr=True)))
            progress = shown, shown.add_task("training", total=max_steps)
        yield Reporter(run_directory, max_steps, progress, log)


def _is_standard_output(file: Path) -> bool:
    """Whether what is printed goes to a file anyway, as on a node of an engine."""
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), file.stat())
    except (OSError, ValueError):
        return False
