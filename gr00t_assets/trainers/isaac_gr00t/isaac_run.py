"""The driver: one run of Isaac-GR00T's trainer from its spec to its manifest.

It runs in this package's own Python. It decides what the launcher is to do, follows it through
``metrics.jsonl``, and publishes the model of its last checkpoint.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.gpu.guard import stop_grace
from gr00t_assets.modality.frame_check_result import frames_verified
from gr00t_assets.runs.manifest import MANIFEST, Manifest, Outcome, dataset_samples
from gr00t_assets.runs.metrics import Metric, read_metrics
from gr00t_assets.runs.retention.removal import require_disk_space
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import Attempt, StopRequest, attempt_run
from gr00t_assets.trainers.base_model_files import hub_commit, locate
from gr00t_assets.trainers.failures.explain import explain
from gr00t_assets.trainers.isaac_gr00t.environment import LAUNCHER_REVISION, IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import (
    LAYOUT,
    latest_checkpoint,
    publish_model,
    sizes_on_disk,
)
from gr00t_assets.trainers.isaac_gr00t.launch_file import FACTS, FOLDER, make_launch
from gr00t_assets.trainers.isaac_gr00t.launcher_process import run_launcher
from gr00t_assets.trainers.isaac_gr00t.limits import refuse, refuse_other_base
from gr00t_assets.trainers.n15.instructions import refuse_special_tokens
from gr00t_assets.trainers.reporter import Reporter
from gr00t_assets.trainers.run_files import CheckpointRecord, remove_partial

REVISION = "revision"

_AFTER_GRACE = 10.0


def run_spec(spec: TrainingSpec) -> Manifest:
    """Train what the spec asks for; see ``attempt_run``.

    The launcher holds the run directory as well: where this process is killed, the next one waits
    until the guard has ended it.
    """
    environment = IsaacEnvironment.from_environment(spec.modality_config.generation)
    return attempt_run(
        spec,
        lambda reporter: IsaacRun(spec, environment, reporter),
        lock_inherited=True,
        lock_patience=stop_grace() + _AFTER_GRACE,
    )


class IsaacRun(Attempt):
    """One attempt with a checkout and its Python."""

    def __init__(
        self, spec: TrainingSpec, environment: IsaacEnvironment, reporter: Reporter
    ) -> None:
        super().__init__(spec, reporter)
        self._environment = environment
        self._outcome = Outcome(trainer_revision=f"unknown+{LAUNCHER_REVISION}")

    def train(self, stop: StopRequest) -> Manifest:
        """Train to the end, or to a request to stop.

        Raises:
            Gr00tAssetsError: It cannot be trained, or training failed.
        """
        spec, directory = self.spec, self.spec.run_directory
        self._environment.require(spec.experiment.name)
        refuse(spec, self._environment)
        for dataset in spec.datasets:
            refuse_special_tokens(dataset)
        revision = f"{self._environment.revision()}+{LAUNCHER_REVISION}"
        self._update(trainer_revision=revision)
        latest = latest_checkpoint(spec)
        self._record_revision(revision, latest)
        # Isaac-GR00T would resume from the highest checkpoint, complete or not.
        remove_partial(directory, LAYOUT, weights_only=True)
        base_model = locate(spec.experiment.base_model, spec.experiment.base_model_revision)
        refuse_other_base(spec, self._environment, base_model)
        launch = make_launch(spec, self._environment, base_model.absolute(), latest)
        self._update(
            base_model_revision=hub_commit(base_model),
            dataset_frames=launch["dataset_frames"],
            frames_verified=all(_frames_were_verified(spec)),
        )
        if latest is not None:
            self._update_progress(latest)
        settings = IsaacHyperparameters.of(spec.experiment)
        resume_step = latest.step if latest else 0
        is_to_train = resume_step < settings.max_steps
        if is_to_train:
            sizes = sizes_on_disk(base_model, settings, self._environment.generation.parts)
            require_disk_space(spec.experiment.name, directory, *sizes)
        (directory / MANIFEST).unlink(missing_ok=True)
        if resume_step:
            self.reporter.say(f"resuming from step {resume_step} of {settings.max_steps}")
        if is_to_train:
            code, output = run_launcher(launch, self._environment, self.reporter, stop, spec)
            self._read_results()
            if code not in (0, 130):
                raise explain(output, code, spec).error(spec.experiment.name)
            latest = latest_checkpoint(spec)
            step = latest.step if latest else 0
            # torchrun ends with 0 where its processes ended on request.
            if code == 130 or (stop.asked and step != settings.max_steps):
                self._update(steps=step, samples_seen=latest.samples_seen if latest else 0)
                return self.record_stop(stop, step)
        step = latest.step if latest else None
        if latest is None or step != settings.max_steps:
            raise CheckpointError(
                spec.experiment.name,
                "training ended without a checkpoint of its last step.",
                [f"expected step {settings.max_steps}, found {step or 'none'}"],
            )
        self._read_results()
        self._update_progress(latest)
        publish_model(spec, latest.step, Path(launch["backbone"] or self._environment.backbone))
        return self.record("finished")

    def outcome(self) -> Outcome:
        """What is known of the run by now."""
        known, spec = self._outcome, self.spec
        if not known.dataset_frames:
            return known
        samples = [share * known.samples_seen for share in spec.data.shares(spec.experiment)]
        verified = _frames_were_verified(spec)
        return replace(known, datasets=dataset_samples(spec, samples, verified))

    def _update(self, **changes: Any) -> None:
        self._outcome = replace(self._outcome, **changes)

    def _record_revision(self, revision: str, latest: CheckpointRecord | None) -> None:
        """Record the revision of the code that trains, for later attempts.

        Raises:
            TrainingError: The run was begun with another revision of Isaac-GR00T.
        """
        path = self.spec.run_directory / FOLDER / REVISION
        # Version 0.2 wrote it in place, so that a power cut may have left it empty.
        before = (path.read_text(encoding="utf-8").strip() if path.is_file() else "") or revision
        if before != revision and latest is not None:
            raise TrainingError(
                self.spec.experiment.name,
                "this run was begun with another revision of Isaac-GR00T.",
                [
                    f"begun with {before}, now {revision}, at step {latest.step}",
                    "check that commit out again, or move the run directory away: "
                    f"{self.spec.run_directory}",
                ],
            )
        write_bytes(path, f"{revision}\n".encode())

    def _read_results(self) -> None:
        """Take over the facts and metrics that the launcher has written."""
        directory = self.spec.run_directory
        path = directory / FOLDER / FACTS
        if path.is_file():
            self._update(**json.loads(path.read_text(encoding="utf-8")))
        if last := read_metrics(directory).last:
            self._update_progress(last)

    def _update_progress(self, last: Metric | CheckpointRecord) -> None:
        self._update(
            steps=last.step, samples_seen=last.samples_seen, wall_seconds=last.wall_seconds
        )


def _frames_were_verified(spec: TrainingSpec) -> list[bool]:
    """Of each dataset, whether its frames as read were compared with those decoded in order."""
    settings = IsaacHyperparameters.of(spec.experiment)
    if settings.frame_source == "cache":
        return [frames_verified(dataset.frame_check) for dataset in spec.datasets]
    by_dataset = [
        [check for check in dataset.config.frames if check.backend == settings.video_backend]
        for dataset in spec.datasets
    ]
    return [bool(checks) and all(check.verified for check in checks) for checks in by_dataset]
