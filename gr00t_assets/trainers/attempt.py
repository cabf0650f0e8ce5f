"""One attempt at a run, the same for every trainer: its command, how it stops, what it leaves."""

import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from gr00t_assets.core.errors import Gr00tAssetsError, TrainingError, system_errors_explained
from gr00t_assets.core.text import escape_output
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.checkpoint_layout import require_unchanged, run_hashes
from gr00t_assets.runs.manifest import (
    Manifest,
    Outcome,
    Status,
    load_manifest,
    record_attempt,
    save_manifest,
)
from gr00t_assets.runs.metrics import missing_losses, read_metrics
from gr00t_assets.runs.pruning import PruningWatch
from gr00t_assets.runs.retention.retention_rule import retain
from gr00t_assets.runs.retry import is_complete, take_over
from gr00t_assets.runs.run_directory import place_spec, run_lock
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets.runs.training_data import check_stored_data
from gr00t_assets.trainers.base_model_files import model_path
from gr00t_assets.trainers.reporter import Reporter, reporting
from gr00t_assets.trainers.run_files import drop_uncovered
from gr00t_assets.trainers.wandb_run import wandb_run

_ONE_REQUEST = 1.0  # seconds, as the guard has it


class StopRequest:
    """Whether the training is asked to stop: by somebody, or since it is hopeless."""

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self.hopeless: str | None = None

    @property
    def asked(self) -> bool:
        """True from the first signal on, and once it is pruned."""
        return self.signal_name is not None or self.hopeless is not None

    def prune(self, reason: str) -> None:
        """Ask for an end because the run is hopeless."""
        self.hopeless = reason


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Take SIGINT and SIGTERM as requests inside the block; a second SIGINT ends at once.

    Signals within a second are one request: an engine that cancels a job signals every process of
    it, the guard among them, which passes its signal on.
    """
    request = StopRequest()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    times: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        times.append(time.monotonic())
        if request.signal_name is None:
            request.signal_name = signal.Signals(number).name
        elif number == signal.SIGINT and times[-1] - times[0] > _ONE_REQUEST:
            signal.default_int_handler(number, frame)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Attempt(ABC):
    """What a trainer does with a run whose directory is this process's."""

    def __init__(self, spec: TrainingSpec, reporter: Reporter) -> None:
        self.spec, self.reporter = spec, reporter
        self._started = record_attempt(spec.run_directory)

    @abstractmethod
    def train(self, stop: StopRequest) -> Manifest:
        """Train from the last complete checkpoint to the end, or to a request to stop.

        It returns what ``record`` did: ``finished``, ``interrupted`` or ``pruned``.

        Raises:
            Gr00tAssetsError: It cannot be trained, or training failed.
        """

    @abstractmethod
    def outcome(self) -> Outcome:
        """What is known of the run by now, for its manifest."""

    def record(self, status: Status, failure: str | None = None) -> Manifest:
        """Write the manifest of the attempt as it ended, and return it.

        Raises:
            TrainingError: It is finished, and not every step's loss is in ``metrics.jsonl``.
        """
        directory, outcome, finished = self.spec.run_directory, self.outcome(), status == "finished"
        if finished and (lost := missing_losses(read_metrics(directory), outcome.steps)):
            details = [*filter(None, [drop_uncovered(directory)]), "start it again"]
            raise TrainingError(self.spec.experiment.name, f"{lost}.", details)
        manifest = outcome.manifest(self.spec, status, failure, self._started)
        manifest = manifest.model_copy(update={"files": run_hashes(directory, model=finished)})
        save_manifest(manifest, directory)
        return manifest

    def record_stop(self, stop: StopRequest, step: int) -> Manifest:
        """Write the manifest of an attempt that stopped on request, after the step's checkpoint."""
        failure = f"stopped by {stop.signal_name or 'a signal'} at step {step}"
        if stop.hopeless is not None:
            failure = f"pruned, stopped at step {step}: {stop.hopeless}"
        manifest = self.record("pruned" if stop.hopeless else "interrupted", failure)
        written = "a checkpoint is written, the next start goes on from it"
        self.reporter.say(f"{failure}; {written if step else 'the next start begins anew'}")
        return manifest


def attempt_run(
    spec: TrainingSpec,
    begin: Callable[[Reporter], Attempt],
    *,
    lock_inherited: bool = False,
    lock_patience: float = 0.0,
) -> Manifest:
    """Train what the spec asks for, or go on where an earlier attempt stopped.

    A finished run is not trained again, nor is a pruned one while its sweep still asks for pruning.
    Any other goes on from its last complete checkpoint whose steps are all logged. The manifest's
    status is ``finished``, ``interrupted`` or ``pruned``.

    Args:
        begin: Makes the attempt; called once the run directory is this process's.
        lock_inherited: Processes that the trainer starts hold the run directory too.
        lock_patience: Seconds to wait for those that a dead trainer left.

    Raises:
        Gr00tAssetsError: The run failed; its manifest says so and no model is published.
    """
    directory = spec.run_directory
    with (
        system_errors_explained(directory),
        run_lock(directory, inherited=lock_inherited, patience=lock_patience),
        reporting(directory, spec.experiment.hyperparameters.max_steps) as reporter,
    ):
        manifest = load_manifest(directory)
        if manifest is not None and is_complete(manifest, spec.experiment):
            run = f"{spec.experiment.name} ({spec.config_hash}) is {manifest.status} already"
            reporter.say(f"{run}: {manifest.steps} steps; nothing is trained")
            return manifest
        place_spec(spec)
        attempt = begin(reporter)
        with _recorded(attempt, spec):
            require_unchanged(model_path(spec.experiment.base_model))
            backend = trainer_named(spec.experiment.trainer).video_backend(spec.experiment)
            check_stored_data(spec.data, reporter.say, from_videos=backend is not None)
            if went_back := drop_uncovered(directory):
                reporter.say(went_back)
            take_over(spec)
        with stop_on_signal() as stop, wandb_run(spec, reporter), _recorded(attempt, spec):
            if pruning := spec.experiment.pruning:
                say, prune = reporter.say, stop.prune
                reporter.listen(PruningWatch(spec, pruning, say, lambda: stop.asked, prune))
            manifest = attempt.train(stop)
        if manifest.status == "finished":
            retain(spec, reporter.say)
        return manifest


@contextmanager
def _recorded(attempt: Attempt, spec: TrainingSpec) -> Iterator[None]:
    """Leave a manifest also where the block fails; a full disk is explained as one."""
    try:
        with system_errors_explained(spec.run_directory):
            yield
    except Gr00tAssetsError as error:
        attempt.record("failed", error.explain())
        raise
    except KeyboardInterrupt:
        attempt.record("interrupted", "stopped at once by a second Ctrl-C")
        raise
    except Exception as error:
        attempt.record("failed", f"{type(error).__name__}: {error}")
        raise


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
    escape_output()
    try:
        with system_errors_explained(Path(arguments[0])):
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
    elif (window := manifest.final_loss) is not None:
        error = window.cannot_tell
        spread = f"({error})" if error else f"± {window.standard_error:.4f}"
        loss = f"{window.mean:.4f} {spread} over the last {window.steps} steps"
        sys.stdout.write(f"finished: loss {loss}; {spec.run_directory}\n")
    return 0
