"""The open-loop evaluation of one run, from its weights to ``evaluation.json``."""

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from gr00t_assets.core.errors import EvaluationError, Gr00tAssetsError
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.evaluation.part_errors import PartPredictions, part_evaluation
from gr00t_assets.evaluation.predictions import (
    Log,
    Predictor,
    SwappedPrompts,
    language_used,
    prompt_swap,
    row_numbers,
    swap_prompts,
)
from gr00t_assets.evaluation.recorded_actions import TrainingActions, action_groups, recorded_at
from gr00t_assets.evaluation.result import (
    FORMAT,
    Evaluation,
    EvaluationSettings,
    PartName,
    Trajectory,
    readable_evaluation,
    save_evaluation,
)
from gr00t_assets.evaluation.trajectories import trajectory
from gr00t_assets.evaluation.windows import choose_windows, spread_evenly
from gr00t_assets.evaluation.wording import limits_of
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.experiments.sweeps import find_experiment, load_sweeps
from gr00t_assets.runs.manifest import MANIFEST, load_manifest
from gr00t_assets.runs.run_directory import MODEL, SPEC
from gr00t_assets.runs.spec import TrainingSpec, current_config_hash, load_spec
from gr00t_assets.runs.training_data import RunDataset, check_stored_data
from gr00t_assets.trainers.base import Policy

_PARTS: tuple[PartName, ...] = ("held out", "seen in training")


def evaluate_run(
    run_directory: Path, settings: EvaluationSettings | None = None, log: Log = lambda line: None
) -> Evaluation:
    """Evaluate the final weights of a finished run of any trainer; write ``evaluation.json``.

    Raises:
        EvaluationError: The run is not finished, or its episodes are too short.
        Gr00tAssetsError: Its weights or its data cannot be read.
    """
    began, settings = time.monotonic(), settings or EvaluationSettings()
    spec = finished_spec(run_directory)
    check_stored_data(spec.data, log)
    policy: Policy = trainer_named(spec.experiment.trainer).open_policy(run_directory)
    works = [
        _Work(dataset, Predictor(policy.for_config(dataset.config), settings, log), settings)
        for dataset in spec.datasets
    ]
    named = len(works) > 1
    predicted: dict[PartName, list[tuple[_Work, PartPredictions]]] = {}
    for part in _PARTS:
        if asked := [(work, work.predictions(part)) for work in works if part in work.data]:
            predicted[part] = asked
    main = next(iter(predicted))
    tasks = sorted({text for work in works for text in work.instructions})
    swapped = [work.swapped(predictions, tasks) for work, predictions in predicted[main]]
    swap = prompt_swap(swapped, main, tasks)
    parts = [
        part_evaluation([predictions for _, predictions in asked], named)
        for asked in predicted.values()
    ]
    language = language_used(swap.tasks, swap.ratio, swap.difference)
    data = spec.data
    evaluation = Evaluation(
        experiment=spec.experiment.name,
        config_hash=spec.config_hash,
        model_hash=model_hash(run_directory),
        trainer=spec.experiment.trainer,
        dataset=data.name,
        dataset_version=data.version,
        modality_hash=data.modality_hash,
        settings=settings,
        denoising_steps=works[0].predictor.denoising_steps,
        horizon=len(policy.config.action_indices),
        held_out=parts[0] if len(parts) > 1 else None,
        seen=parts[-1],
        prompt_swap=swap,
        language_used=language,
        trajectories=tuple(
            work.trajectory(predictions, named)
            for work, predictions in (asked[0] for asked in predicted.values())
        ),
        limits=limits_of(data, parts, swap, language),
        device=policy.device,
        wall_seconds=round(time.monotonic() - began, 2),
        evaluated_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    save_evaluation(evaluation, run_directory)
    return evaluation


def current_evaluation(run_directory: Path, settings: EvaluationSettings) -> Evaluation | None:
    """The evaluation of the same weights and data with the same settings, if there is one.

    One of an earlier format is none: it has no errors by episode.

    Raises:
        EvaluationError: The run is not finished.
    """
    evaluation = readable_evaluation(run_directory)
    if evaluation is None or (evaluation.format, evaluation.settings) != (FORMAT, settings):
        return None
    data = finished_spec(run_directory).data
    same = (evaluation.dataset_version, evaluation.modality_hash, evaluation.model_hash) == (
        data.version,
        data.modality_hash,
        model_hash(run_directory),
    )
    return evaluation if same else None


def finished_spec(run_directory: Path) -> TrainingSpec:
    """The spec of a finished run; its store is the one that the directory lies in.

    Raises:
        EvaluationError: There is no such run, or it is not finished.
        SpecError: Its spec cannot be read.
    """
    manifest = load_manifest(run_directory)
    reason = None
    if manifest is None:
        reason = "no manifest, so it was never finished"
    elif manifest.status != "finished":
        reason = f"it is {manifest.status} at step {manifest.steps} of {manifest.max_steps}"
    elif not (run_directory / MODEL).is_dir():
        reason = "its model is not there any more"
    if reason is not None:
        details = [reason, "train it to its end; then evaluate it"]
        raise EvaluationError(str(run_directory), "there is no model to evaluate.", details)
    spec = load_spec(run_directory / SPEC)
    here = run_directory.resolve()
    if len(here.parents) > 2:
        moved = Store(here.parents[2])
        if moved.run_directory(spec.experiment.name, spec.config_hash) == here:
            return spec.model_copy(update={"store": str(moved.root)})
    return spec


def find_run(target: str) -> Path:
    """The run directory that a person means: a path, or an experiment's name.

    Raises:
        Gr00tAssetsError: There is neither, or the experiment's present configuration was not run.
    """
    path = Path(target)
    if any((path / name).is_file() for name in (SPEC, MANIFEST)):
        return path
    if path.is_dir():
        problem = "this folder is no run directory."
        raise EvaluationError(target, problem, [f"expected {SPEC} and {MANIFEST} in it"])
    experiment, store = find_experiment(target, load_sweeps()), Store.from_environment()
    try:
        directory = store.run_directory(target, current_config_hash(experiment, store))
    except Gr00tAssetsError as error:
        raise EvaluationError(target, error.problem, error.details) from error
    if directory.is_dir():
        return directory
    parent = directory.parent
    runs = sorted(path.name for path in parent.iterdir()) if parent.is_dir() else []
    raise EvaluationError(
        target,
        "its present configuration was not run.",
        [
            f"its config hash is {directory.name}; runs in the store: {', '.join(runs) or 'none'}",
            "to evaluate an earlier one give its run directory",
            f"train: {materialize_command('checkpoint', target)}",
        ],
    )


def model_hash(run_directory: Path) -> str:
    """First 16 hex digits of a SHA-256 over the run's final weights.

    Over every safetensors file; over every file where a trainer writes none of them.
    """
    folder = run_directory / MODEL
    weights = sorted(folder.glob("*.safetensors"))
    whole = hashlib.sha256()
    for path in weights or sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


class _Work:
    """What the parts of one dataset share in one evaluation.

    Attributes:
        predictor: The policy for the dataset's robot and cameras.
        data: The demonstrations of each part; the held-out part first where there is one.
        instructions: Every prompt of the dataset.
    """

    def __init__(
        self, dataset: RunDataset, predictor: Predictor, settings: EvaluationSettings
    ) -> None:
        self._config = config = dataset.config
        self._files = files = LeRobotDataset.open(dataset.directory, dataset.name)
        frames = FrameCache.open(dataset.frame_cache, config.frame_size)
        self.predictor, self._settings = predictor, settings
        self._groups = action_groups(config)
        train = Demonstrations(files, frames, config, "train")
        self.data: dict[PartName, Demonstrations] = {}
        if config.held_out_episodes:
            self.data["held out"] = Demonstrations(files, frames, config, "held_out")
        self.data["seen in training"] = train
        self._training = TrainingActions(train)
        self.instructions = {text for data in self.data.values() for text in data.instructions}

    def predictions(self, part: PartName) -> PartPredictions:
        """Predict at the windows of a part."""
        data = self.data[part]
        indices, counts = np.unique(data.episodes, return_counts=True)
        lengths = dict(zip(indices.tolist(), counts.tolist(), strict=True))
        chosen = spread_evenly(list(lengths), self._settings.max_episodes)
        needs_row_before = any(group.held == "last action" for group in self._groups)
        windows = choose_windows(
            {index: lengths[index] for index in chosen},
            self._config.action_indices,
            self._settings,
            first_row=int(needs_row_before),
        )
        features = self._files.features
        names = {
            group.key.key: feature.names[group.key.start : group.key.end]
            for group in self._groups
            if (feature := features.get(group.key.original_key)) is not None and feature.names
        }
        return PartPredictions(
            part=part,
            episodes_in_part=len(lengths),
            windows=windows,
            recorded=recorded_at(windows, self._files, self._groups, self._config),
            predicted=self.predictor.predict(
                data, windows, f"{self._files.name}, {part}: {len(chosen)} episodes"
            ),
            rules=self._training.answers(data.states(row_numbers(data, windows))[:, 0]),
            training_rows=(len(self._training.rows), len(self.data["seen in training"])),
            groups=self._groups,
            labels=names,
            dataset=self._files.name,
        )

    def swapped(self, predictions: PartPredictions, tasks: Sequence[str]) -> SwappedPrompts:
        """The prompt swap on a part; ``tasks`` has every prompt of all datasets once."""
        return swap_prompts(self.predictor, self.data[predictions.part], predictions, tasks)

    def trajectory(self, predictions: PartPredictions, named: bool) -> Trajectory:
        """Of the first episode of a part, with the dataset's name where it is ``named``."""
        episode = int(predictions.windows.episodes[0])
        columns = sorted({group.key.original_key for group in self._groups})
        vectors = self._files.vectors(episode, columns)
        drawn = trajectory(predictions, self._files.timestamps(episode), vectors)
        return drawn.model_copy(update={"dataset": predictions.dataset if named else None})
