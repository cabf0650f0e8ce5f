"""The open-loop evaluation of one run directory, from its weights to ``evaluation.json``."""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.frames.demonstrations import Demonstrations, chosen_episodes
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.evaluation.limits import limits_of
from gr00t_assets.evaluation.part import Measured, measure
from gr00t_assets.evaluation.predictions import Predictor, Progress
from gr00t_assets.evaluation.prompts import language_used, swap_prompts
from gr00t_assets.evaluation.recorded import Group, action_groups, mean_action, recorded_at
from gr00t_assets.evaluation.result import (
    Evaluation,
    EvaluationSettings,
    PartName,
    PromptSwap,
    Trajectory,
    save_evaluation,
)
from gr00t_assets.evaluation.trajectories import trajectory
from gr00t_assets.evaluation.windows import choose_windows, spread_evenly
from gr00t_assets.modality.vector_groups import number_names
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.run_directory import MODEL, SPEC
from gr00t_assets.runs.spec import TrainingSpec, load_spec

if TYPE_CHECKING:
    from gr00t_assets.trainers.native.policy import Policy

Say = Callable[[str], object]


def evaluate_run(
    run_directory: Path,
    settings: EvaluationSettings | None = None,
    say: Say = lambda line: None,
) -> Evaluation:
    """Evaluate the final weights of a finished run and write ``evaluation.json``.

    Args:
        run_directory: Of either trainer.
        settings: What decides the numbers; the defaults where left out.
        say: Where a line of progress goes.

    Raises:
        EvaluationError: The run is not finished, or its episodes are too short.
        Gr00tAssetsError: Its weights or its data cannot be read.
    """
    from gr00t_assets.trainers.native.devices import choose_device
    from gr00t_assets.trainers.native.policy import Policy

    began, settings = time.monotonic(), settings or EvaluationSettings()
    spec = finished_spec(run_directory)
    manifest = load_manifest(run_directory)
    assert manifest is not None
    device = choose_device()
    policy = Policy(run_directory / MODEL, device)
    predictor = Predictor(policy, device, settings.draws, settings.denoising_steps, settings.seed)
    work = _Work(spec, policy, predictor, settings, say)
    held_out = work.measure("held out") if policy.config.held_out_episodes else None
    seen = work.measure("seen in training")
    swap = work.swap(held_out or seen)
    measured = [part for part in (held_out, seen) if part is not None]
    parts = [measure(part, settings) for part in measured]
    drawn = [work.trajectory(part) for part in measured]
    language = language_used(swap.tasks, swap.ratio, swap.difference)
    evaluation = Evaluation(
        experiment=spec.experiment.name,
        config_hash=spec.config_hash,
        model_hash=model_hash(run_directory),
        trainer=manifest.trainer,
        dataset=policy.config.dataset,
        dataset_version=policy.config.dataset_version,
        modality_hash=policy.config.content_hash(),
        settings=settings,
        denoising_steps=predictor.steps,
        horizon=len(policy.config.action_indices),
        held_out=parts[0] if held_out is not None else None,
        seen=parts[-1],
        prompt_swap=swap,
        language_used=language,
        trajectories=tuple(drawn),
        limits=limits_of(policy.config, parts, swap, language),
        device=device.name,
        wall_seconds=round(time.monotonic() - began, 2),
        evaluated_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    save_evaluation(evaluation, run_directory)
    return evaluation


def finished_spec(run_directory: Path) -> TrainingSpec:
    """The spec of a finished run; its store is the one that the directory lies in.

    Raises:
        EvaluationError: There is no such run, or it is not finished.
        SpecError: Its spec cannot be read.
    """
    manifest = load_manifest(run_directory)
    if manifest is None or manifest.status != "finished" or not (run_directory / MODEL).is_dir():
        if manifest is None:
            found = "no manifest, so it was never finished"
        elif manifest.status != "finished":
            found = f"it is {manifest.status} at step {manifest.steps} of {manifest.max_steps}"
        else:
            found = "its model is not there any more"
        details = [found, "train it to its end; then evaluate it"]
        raise EvaluationError(str(run_directory), "there is no model to evaluate.", details)
    spec = load_spec(run_directory / SPEC)
    here = run_directory.resolve()
    if len(here.parents) > 2:
        moved = Store(here.parents[2])
        if moved.run_directory(spec.experiment.name, spec.config_hash) == here:
            return spec.model_copy(update={"store": str(moved.root)})
    return spec


def model_hash(run_directory: Path) -> str:
    """First 16 hex digits of a SHA-256 over the run's final weights."""
    whole = hashlib.sha256()
    for path in sorted((run_directory / MODEL).glob("*.safetensors")):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


class _Work:
    """What the parts of one evaluation share."""

    def __init__(
        self,
        spec: TrainingSpec,
        policy: "Policy",
        predictor: Predictor,
        settings: EvaluationSettings,
        say: Say,
    ) -> None:
        self._config = config = policy.config
        self._dataset = LeRobotDataset.open(spec.dataset_directory, config.dataset)
        self._frames = FrameCache.open(spec.frame_cache, config.frame_size)
        self._predictor, self._settings, self._say = predictor, settings, say
        self._groups = action_groups(config)
        self._train = Demonstrations(self._dataset, self._frames, config, "train")
        self._mean = mean_action(self._train)
        self._held_out = (
            Demonstrations(self._dataset, self._frames, config, "held_out")
            if config.held_out_episodes
            else None
        )

    def measure(self, part: PartName) -> Measured:
        """Predict at the windows of a part."""
        data = self._data(part)
        indices = chosen_episodes(
            self._dataset, self._config, "held_out" if part == "held out" else "train"
        )
        episodes = spread_evenly(indices, self._settings.max_episodes)
        lengths = {episode: len(data.rows(episode)) for episode in episodes}
        before = any(group.held == "last action" for group in self._groups)
        windows = choose_windows(
            lengths, self._config.action_indices, self._settings, first_row=int(before)
        )
        progress = self._progress(f"{part}: {len(episodes)} episodes", len(windows))
        return Measured(
            part=part,
            episodes_in_part=len(indices),
            windows=windows,
            recorded=recorded_at(windows, self._dataset, self._groups, self._config),
            predicted=self._predictor.predict(data, windows, progress=progress),
            mean_action=self._mean,
            groups=self._groups,
            labels=_labels(self._dataset, self._groups),
        )

    def swap(self, measured: Measured) -> PromptSwap:
        """The prompt swap on a part."""
        parts = [data for data in (self._train, self._held_out) if data is not None]
        tasks = sorted({text for data in parts for text in data.instructions})
        progress = self._progress(f"{measured.part}: other prompts", len(measured.windows))
        data = self._data(measured.part)
        return swap_prompts(self._predictor, data, measured, tasks, self._settings, progress)

    def trajectory(self, measured: Measured) -> Trajectory:
        """Of the first episode of a part."""
        episode = int(measured.windows.episodes[0])
        columns = sorted({group.key.original_key for group in self._groups})
        vectors = self._dataset.vectors(episode, columns)
        return trajectory(measured, self._dataset.timestamps(episode), vectors)

    def _data(self, part: PartName) -> Demonstrations:
        if part == "seen in training":
            return self._train
        assert self._held_out is not None
        return self._held_out

    def _progress(self, what: str, windows: int) -> Progress:
        done, told = 0, time.monotonic()
        self._say(f"{what}, {windows} windows")

        def progress(more: int) -> None:
            nonlocal done, told
            done += more
            if time.monotonic() - told > 5 and done < windows:
                told = time.monotonic()
                self._say(f"{what}, {done} of {windows} windows")

        return progress


def _labels(dataset: LeRobotDataset, groups: list[Group]) -> dict[str, list[str]]:
    """The dataset's own names of each group's numbers, where it has them."""
    found: dict[str, list[str]] = {}
    for group in groups:
        feature = dataset.columns.get(group.key.original_key, {})
        size = int(np.prod(feature.get("shape", [0])))
        names = number_names(feature.get("names"), size)
        if names is not None:
            found[group.key.key] = names[group.key.start : group.key.end]
    return found
