"""One run of Isaac-GR00T's trainer from its spec to its manifest, whatever happened to it before.

This is the part that runs in this package's own Python. It decides what the launcher is to do,
hears what it says through ``metrics.jsonl``, and publishes what it leaves.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.core.files import PARTIAL
from gr00t_assets.gpu.guard import stop_grace
from gr00t_assets.runs.manifest import MANIFEST, Manifest, save_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.outcome import Outcome, Status, record_attempt
from gr00t_assets.runs.retention.room import require_room
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import attempt_run
from gr00t_assets.trainers.base_model_files import hub_commit, locate
from gr00t_assets.trainers.isaac_gr00t.checkpoint_size import sizes_on_disk
from gr00t_assets.trainers.isaac_gr00t.checkpoints import latest_checkpoint, remove_incomplete
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.frames import refuse_wrong_frames, right_frames
from gr00t_assets.trainers.isaac_gr00t.launch import Facts
from gr00t_assets.trainers.isaac_gr00t.plan import FACTS, FOLDER, make_launch
from gr00t_assets.trainers.isaac_gr00t.process import run_launcher
from gr00t_assets.trainers.isaac_gr00t.publish import publish_model
from gr00t_assets.trainers.reporting import Reporter
from gr00t_assets.trainers.stopping import StopRequest

LAUNCHER_REVISION = "1"
"""Raised whenever the launcher would give other losses than before at the same commit."""

REVISION = "revision"

_AFTER_GRACE = 10.0


def run_spec(spec: TrainingSpec) -> Manifest:
    """Train what the spec asks for; see :func:`attempt_run`.

    The launcher holds the run directory as well: where this process is killed, the next one waits
    until the guard has ended it.
    """
    environment = IsaacEnvironment.from_environment()
    return attempt_run(
        spec,
        lambda reporter: IsaacRun(spec, environment, reporter),
        lock_inherited=True,
        lock_patience=stop_grace() + _AFTER_GRACE,
    )


class IsaacRun:
    """One attempt.

    Args:
        spec: What is asked.
        environment: The checkout that trains, and its Python.
        reporter: Where progress goes.
    """

    def __init__(
        self, spec: TrainingSpec, environment: IsaacEnvironment, reporter: Reporter
    ) -> None:
        self._spec = spec
        self._environment = environment
        self._reporter = reporter
        self._started = record_attempt(spec.run_directory)
        self._outcome = Outcome(trainer_revision=f"unknown+{LAUNCHER_REVISION}")

    def train(self, stop: StopRequest) -> Manifest:
        """Train to the end, or to a request to stop.

        Raises:
            Gr00tAssetsError: It cannot be trained, or training failed.
        """
        spec, directory = self._spec, self._spec.run_directory
        self._environment.require(spec.experiment.name)
        refuse_wrong_frames(spec, self._environment)
        self._settle_revision()
        _remove_leftovers(directory)
        latest = latest_checkpoint(spec)
        remove_incomplete(directory)
        base_model = locate(spec.experiment.base_model, spec.experiment.base_model_revision)
        launch = make_launch(spec, self._environment, base_model.absolute(), latest)
        self._outcome = replace(
            self._outcome,
            base_model_revision=hub_commit(base_model),
            dataset_frames=launch.dataset_frames,
            steps=launch.resume_step,
            samples_seen=latest.samples_seen if latest else 0,
            wall_seconds=launch.wall_seconds,
            frames_verified=right_frames(spec),
        )
        settings = spec.experiment.hyperparameters
        if launch.resume_step < settings.max_steps:
            require_room(spec.experiment.name, directory, *sizes_on_disk(base_model, settings))
        (directory / MANIFEST).unlink(missing_ok=True)
        if launch.resume_step:
            self._reporter.say(f"resuming from step {launch.resume_step} of {settings.max_steps}")
        if launch.resume_step < settings.max_steps:
            end = run_launcher(launch, self._environment, self._reporter, stop, spec)
            self._hear()
            if end.code == 130 or (end.code == 0 and stop.asked and not self._done()):
                # torchrun ends with 0 where its processes ended on request.
                return self._interrupted(stop)
            if end.code != 0:
                raise end.explained(spec)
        return self._finished(Path(launch.eagle) if launch.eagle else self._environment.eagle)

    def record(self, status: Status, failure: str | None) -> Manifest:
        """Write the manifest of the attempt as it ended."""
        manifest = self._outcome.manifest(self._spec, status, failure, self._started)
        save_manifest(manifest, self._spec.run_directory)
        return manifest

    def _settle_revision(self) -> None:
        """Take the code that trains into the record; refuse to go on with another.

        Raises:
            TrainingError: The run was begun with another commit of Isaac-GR00T.
        """
        revision = f"{self._environment.revision()}+{LAUNCHER_REVISION}"
        self._outcome = replace(self._outcome, trainer_revision=revision)
        path = self._spec.run_directory / FOLDER / REVISION
        path.parent.mkdir(exist_ok=True)
        latest = latest_checkpoint(self._spec)
        before = path.read_text().strip() if path.is_file() else revision
        if before != revision and latest is not None:
            raise TrainingError(
                self._spec.experiment.name,
                "this run was begun with another revision of Isaac-GR00T.",
                [
                    f"begun with {before}, now {revision}, at step {latest.step}",
                    "check that commit out again, or move the run directory away: "
                    f"{self._spec.run_directory}",
                ],
            )
        path.write_text(revision + "\n")

    def _hear(self) -> None:
        """Take what the launcher left into the record."""
        spec = self._spec
        path = spec.run_directory / FOLDER / FACTS
        if path.is_file():
            facts = Facts.model_validate(json.loads(path.read_text()))
            self._outcome = replace(
                self._outcome,
                parameters=facts.parameters,
                trainable_parameters=facts.trainable_parameters,
                device=facts.device,
                device_uuid=facts.device_uuid,
                gpus=facts.gpus,
                versions=facts.versions,
                peak_memory_bytes=facts.peak_memory_bytes,
            )
        metrics = read_metrics(spec.run_directory)
        if metrics:
            last = metrics[-1]
            self._outcome = replace(
                self._outcome,
                steps=last.step,
                samples_seen=last.samples_seen,
                wall_seconds=last.wall_seconds,
            )

    def _done(self) -> bool:
        latest = latest_checkpoint(self._spec)
        return latest is not None and latest.step == self._spec.experiment.hyperparameters.max_steps

    def _interrupted(self, stop: StopRequest) -> Manifest:
        latest = latest_checkpoint(self._spec)
        step = latest.step if latest else 0
        self._outcome = replace(
            self._outcome, steps=step, samples_seen=latest.samples_seen if latest else 0
        )
        failure = stop.words(step)
        manifest = self.record(stop.status, failure)
        self._reporter.say(f"{failure}; the next start goes on from its checkpoint")
        return manifest

    def _finished(self, tokenizer: Path) -> Manifest:
        spec = self._spec
        latest, asked = latest_checkpoint(spec), spec.experiment.hyperparameters.max_steps
        if latest is None or latest.step != asked:
            raise CheckpointError(
                spec.experiment.name,
                "training ended without a checkpoint of its last step.",
                [f"expected step {asked}, found {latest.step if latest else 'none'}"],
            )
        self._hear()
        self._outcome = replace(
            self._outcome,
            steps=latest.step,
            samples_seen=latest.samples_seen,
            wall_seconds=latest.wall_seconds,
        )
        publish_model(spec, latest.step, tokenizer)
        return self.record("finished", None)


def _remove_leftovers(directory: Path) -> None:
    """Remove what a killed publication left; needs the run's lock."""
    for path in directory.glob(f".*{PARTIAL}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
