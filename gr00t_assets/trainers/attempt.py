"""One attempt at a run, the same for every trainer: whose turn it is, and what it leaves behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import disk_full_explained
from gr00t_assets.runs.continuing import take_over
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.outcome import Status
from gr00t_assets.runs.pruned import over, prune_hopeless
from gr00t_assets.runs.retention.retention import retain
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.run_lock import run_lock
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.reporting import Reporter, reporting
from gr00t_assets.trainers.stopping import StopRequest, stop_on_signal
from gr00t_assets.trainers.wandb_run import wandb_run


class Attempt(Protocol):
    """What a trainer does with a run that is its to train."""

    def train(self, stop: StopRequest) -> Manifest:
        """Train from the last complete checkpoint to the end, or to a request to stop.

        Returns:
            The manifest as it was written: ``finished``, ``interrupted`` or ``pruned``.

        Raises:
            Gr00tAssetsError: It cannot be trained, or training failed.
        """
        ...

    def record(self, status: Status, failure: str | None) -> Manifest:
        """Write the manifest of the attempt as it ended, and return it."""
        ...


def attempt_run(
    spec: TrainingSpec,
    begin: Callable[[Reporter], Attempt],
    *,
    lock_inherited: bool = False,
    lock_patience: float = 0.0,
) -> Manifest:
    """Train what the spec asks for, or go on where an earlier attempt stopped.

    A finished run is not trained again, nor is a pruned one while its sweep still asks for pruning.
    Any other goes on from its last complete checkpoint.

    Args:
        spec: What is asked.
        begin: Makes the attempt; called once the run directory is this process's.
        lock_inherited: Processes that the trainer starts hold the run directory too.
        lock_patience: Seconds to wait for those that a dead trainer left.

    Returns:
        The manifest, whose status is ``finished``, ``interrupted`` or ``pruned``.

    Raises:
        Gr00tAssetsError: The run failed; its manifest says so and no model is published.
    """
    directory = spec.run_directory
    with (
        disk_full_explained(directory),
        run_lock(directory, inherited=lock_inherited, patience=lock_patience),
        reporting(directory, spec.experiment.hyperparameters.max_steps) as reporter,
    ):
        manifest = load_manifest(directory)
        if manifest is not None and over(manifest, spec.experiment):
            reporter.say(
                f"{spec.experiment.name} ({spec.config_hash}) is {manifest.status} already: "
                f"{manifest.steps} steps; nothing is trained"
            )
            return manifest
        place_spec(spec)
        attempt = begin(reporter)
        with _recorded(attempt, spec):
            take_over(spec)
        with wandb_run(spec, reporter), _recorded(attempt, spec), stop_on_signal() as stop:
            prune_hopeless(spec, reporter, stop)
            manifest = attempt.train(stop)
        if manifest.status == "finished":
            retain(spec, reporter.say)
        return manifest


@contextmanager
def _recorded(attempt: Attempt, spec: TrainingSpec) -> Iterator[None]:
    """Leave a manifest also where the block fails; a full disk is told as one."""
    try:
        with disk_full_explained(spec.run_directory):
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
