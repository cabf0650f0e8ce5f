"""The driver: one run of Isaac-GR00T's trainer from its spec to its manifest.

It runs in this package's own Python. It decides what the launcher is to do, starts it under the
checkout's Python, follows it through ``metrics.jsonl``, and publishes the model of its last
checkpoint.
"""

import json
import os
import subprocess
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.core.files import write_bytes, write_json
from gr00t_assets.core.processes import ends_within
from gr00t_assets.gpu.guard import guarded, stop_grace
from gr00t_assets.modality.frame_check_result import frames_verified
from gr00t_assets.runs.manifest import MANIFEST, Manifest, Outcome, dataset_samples
from gr00t_assets.runs.metrics import Metric, MetricTail, read_metrics
from gr00t_assets.runs.retention.removal import require_disk_space
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers import run_files
from gr00t_assets.trainers.attempt import Attempt, StopRequest, attempt_run
from gr00t_assets.trainers.base_model_files import hub_commit, locate
from gr00t_assets.trainers.failures.explain import MAX_LOG_LINES, explain
from gr00t_assets.trainers.failures.failure_pattern import clean_lines
from gr00t_assets.trainers.isaac_gr00t import isaac_checkpoints as checkpoints
from gr00t_assets.trainers.isaac_gr00t.environment import LAUNCHER_REVISION, IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.launch_file import FACTS, FOLDER, LAUNCH, make_launch
from gr00t_assets.trainers.isaac_gr00t.limits import refuse
from gr00t_assets.trainers.n15.instructions import refuse_special_tokens
from gr00t_assets.trainers.reporter import Reporter

LAUNCHER = Path(__file__).parent / "launcher" / "launcher.py"
"""Not imported here: it is for the checkout's Python."""

REVISION = "revision"

_AFTER_GRACE = 10.0

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

_POLL = 0.2  # seconds between two looks at the metrics


def run_spec(spec: TrainingSpec) -> Manifest:
    """Train what the spec asks for; see ``attempt_run``.

    The launcher holds the run directory as well: where this process is killed, the next one waits
    until the guard has ended it.
    """
    return attempt_run(
        spec,
        lambda reporter: IsaacRun(spec, reporter),
        lock_inherited=True,
        lock_patience=stop_grace() + _AFTER_GRACE,
    )


class IsaacRun(Attempt):
    """One attempt with a checkout and its Python."""

    def __init__(self, spec: TrainingSpec, reporter: Reporter) -> None:
        super().__init__(spec, reporter)
        self._environment = IsaacEnvironment.from_environment(spec.modality_config.generation)
        self._outcome = Outcome(trainer_revision=f"unknown+{LAUNCHER_REVISION}")

    def train(self, stop: StopRequest) -> Manifest:
        """Train to the end, or to a request to stop; see ``Attempt.train``."""
        spec, directory, environment = self.spec, self.spec.run_directory, self._environment
        experiment, settings = spec.experiment, IsaacHyperparameters.of(spec.experiment)
        environment.require(experiment.name)
        refuse(spec, environment)
        for dataset in spec.datasets:
            refuse_special_tokens(dataset)
        self._update(trainer_revision=f"{environment.revision()}+{LAUNCHER_REVISION}")
        latest = checkpoints.latest_checkpoint(spec)
        self._record_revision(latest)
        # Isaac-GR00T would resume from the highest checkpoint, complete or not.
        run_files.remove_partial(directory, checkpoints.LAYOUT, weights_only=True)
        base_model = locate(experiment.base_model, experiment.base_model_revision)
        launch = make_launch(spec, environment, base_model, latest)
        self._update(
            base_model_revision=hub_commit(base_model),
            dataset_frames=launch["dataset_frames"],
            frames_verified=all(_frames_were_verified(spec)),
        )
        if latest is not None:
            self._update_progress(latest)
        resume_step = latest.step if latest else 0
        is_to_train = resume_step < settings.max_steps
        if is_to_train:
            sizes = checkpoints.sizes_on_disk(base_model, settings, environment.generation.parts)
            require_disk_space(experiment.name, directory, *sizes)
        (directory / MANIFEST).unlink(missing_ok=True)
        if resume_step:
            self.reporter.say(f"resuming from step {resume_step} of {settings.max_steps}")
        if is_to_train:
            code, output = self._run_launcher(launch, stop)
            self._read_results()
            if code not in (0, 130):
                raise explain(output, code, spec).error(experiment.name)
            latest = checkpoints.latest_checkpoint(spec)
            step = latest.step if latest else 0
            # torchrun ends with 0 where its processes ended on request.
            if code == 130 or (stop.asked and step != settings.max_steps):
                self._update(steps=step, samples_seen=latest.samples_seen if latest else 0)
                return self.record_stop(stop, step)
        if latest is None or latest.step != settings.max_steps:
            problem = "training ended without a checkpoint of its last step."
            last_step = latest.step if latest else "none"
            expected = f"expected step {settings.max_steps}, found {last_step}"
            raise CheckpointError(experiment.name, problem, [expected])
        self._read_results()
        self._update_progress(latest)
        source = checkpoints.LAYOUT.folder(directory, latest.step)
        if settings.lora_rank:
            source = directory / CHECKPOINTS / checkpoints.MERGED
        tokenizer = Path(launch["backbone"] or environment.backbone)
        with run_files.published_model(spec) as model:
            checkpoints.write_model(source, spec, tokenizer, model)
        return self.record("finished")

    def outcome(self) -> Outcome:
        """What is known of the run by now."""
        known, spec = self._outcome, self.spec
        if not known.dataset_frames:
            return known
        samples = [share * known.samples_seen for share in spec.data.shares(spec.experiment)]
        verified = _frames_were_verified(spec)
        return replace(known, datasets=dataset_samples(spec, samples, verified))

    def _run_launcher(self, launch: dict[str, Any], stop: StopRequest) -> tuple[int, list[str]]:
        """Run the launcher to its end, passing on what it prints and logs; delete old checkpoints.

        It has a guard of its own, so that it is gone when this process is, however that ends. A
        request to stop reaches it through a file, which all processes of torchrun see at the same
        step. Returned are its exit code, 0 finished, 130 stopped on request, else failed, and the
        end of its output.
        """
        directory, settings = self.spec.run_directory, self.spec.experiment.hyperparameters
        stop_file, launch_file = Path(launch["stop_file"]), directory / FOLDER / LAUNCH
        for left_over in (stop_file, Path(launch["facts"])):
            left_over.unlink(missing_ok=True)
        write_json(launch_file, launch)
        metrics, gpus = MetricTail(directory), int(launch["arguments"]["num_gpus"])
        command = [str(self._environment.python)]
        if gpus > 1:
            # torchrun starts one process a GPU.
            command += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={gpus}"]
        inherited = {name: os.environ[name] for name in os.environ if name not in _UNSET_VARIABLES}
        process = subprocess.Popen(
            guarded([*command, str(LAUNCHER), str(launch_file)]),
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
                    self.reporter.say(shown)

        reader = threading.Thread(target=copy_output, daemon=True)
        reader.start()
        newest: list[Path] = []
        layout, keep = checkpoints.LAYOUT, settings.save_total_limit

        def follow() -> None:
            nonlocal newest
            for metric in metrics.new():
                self.reporter.forward(metric)
                self.reporter.step(metric.step, metric.loss)
            before, newest = newest, run_files.complete_checkpoints(directory, layout)[-1:]
            if newest != before:
                run_files.drop_old_checkpoints(directory, keep, layout)

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

    def _update(self, **changes: Any) -> None:
        self._outcome = replace(self._outcome, **changes)

    def _record_revision(self, latest: run_files.CheckpointRecord | None) -> None:
        """Record the revision of the code that trains; refuse a run begun with another one."""
        directory, revision = self.spec.run_directory, self._outcome.trainer_revision
        path = directory / FOLDER / REVISION
        # Version 0.2 wrote it in place, so that a power cut may have left it empty.
        before = (path.read_text(encoding="utf-8").strip() if path.is_file() else "") or revision
        if before != revision and latest is not None:
            problem = "this run was begun with another revision of Isaac-GR00T."
            found = f"begun with {before}, now {revision}, at step {latest.step}"
            remedy = f"check that commit out again, or move the run directory away: {directory}"
            raise TrainingError(self.spec.experiment.name, problem, [found, remedy])
        write_bytes(path, f"{revision}\n".encode())

    def _read_results(self) -> None:
        """Take over the facts and metrics that the launcher has written."""
        path = self.spec.run_directory / FOLDER / FACTS
        if path.is_file():
            self._update(**json.loads(path.read_text(encoding="utf-8")))
        if last := read_metrics(self.spec.run_directory).last:
            self._update_progress(last)

    def _update_progress(self, last: Metric | run_files.CheckpointRecord) -> None:
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
