"""The open-loop evaluation of one run's weights, from them to ``evaluation.json``."""

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from gr00t_assets.core.checksums import sha256
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.videos import spread_positions
from gr00t_assets.evaluation.intervals import choose_windows
from gr00t_assets.evaluation.part_errors import PartPredictions, part_evaluation
from gr00t_assets.evaluation.predictions import (
    Log,
    Predictor,
    language_used,
    prompt_swap,
    row_numbers,
    trajectory,
)
from gr00t_assets.evaluation.recorded_actions import TrainingActions, action_groups, recorded_at
from gr00t_assets.evaluation.result import (
    FORMAT,
    Evaluation,
    EvaluationSettings,
    PartName,
    readable_evaluation,
    save_evaluation,
)
from gr00t_assets.evaluation.wording import limits_of
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.checkpoint_layout import COMPLETE, WEIGHTS_ONLY, is_training_file
from gr00t_assets.runs.model_reference import model_of_run
from gr00t_assets.runs.run_directory import SPEC
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets.runs.training_data import RunDataset, check_stored_data
from gr00t_assets.trainers.policy import Policy

_PARTS: tuple[PartName, ...] = ("held out", "seen in training")


def evaluate_run(
    run_directory: Path,
    settings: EvaluationSettings | None = None,
    log: Log = lambda line: None,
    step: int | None = None,
) -> Evaluation:
    """Evaluate weights of a run of any trainer; write the file that ``evaluation_file`` names.

    Raises:
        EvaluationError: Its episodes are too short.
        Gr00tAssetsError: There are no such weights, or they or the data cannot be read.
    """
    began, settings = time.monotonic(), settings or EvaluationSettings()
    spec, weights = spec_and_weights(run_directory, step)
    check_stored_data(spec.data, log)
    policy: Policy = trainer_named(spec.experiment.trainer).open_policy(weights)
    works = [
        _Work(dataset, Predictor(policy.for_config(dataset.config), settings, log), settings)
        for dataset in spec.datasets
    ]
    named = len(works) > 1
    predicted = [
        [(work, work.predictions(part)) for work in works if part in work.data]
        for part in _PARTS
        if any(part in work.data for work in works)
    ]
    tasks = sorted({text for work in works for text in work.instructions})
    swap = prompt_swap(
        [(work.predictor, work.data[item.part], item) for work, item in predicted[0]], tasks
    )
    parts = [part_evaluation([item for _, item in asked], named) for asked in predicted]
    language = language_used(swap.tasks, swap.ratio, swap.difference)
    data = spec.data
    evaluation = Evaluation(
        experiment=spec.experiment.name,
        config_hash=spec.config_hash,
        model_hash=weights_hash(weights),
        step=step,
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
        trajectories=tuple(trajectory(item, work.files, named) for (work, item), *_ in predicted),
        limits=limits_of(data, parts, swap, language),
        device=policy.device,
        wall_seconds=round(time.monotonic() - began, 2),
        evaluated_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    save_evaluation(evaluation, run_directory)
    return evaluation


def current_evaluation(
    run_directory: Path, settings: EvaluationSettings, step: int | None = None
) -> Evaluation | None:
    """The evaluation of the same weights and data with the same settings, if there is one.

    One of an earlier format is none: it has no errors by episode. Raises as ``spec_and_weights``.
    """
    evaluation = readable_evaluation(run_directory, step)
    if evaluation is None or (evaluation.format, evaluation.settings) != (FORMAT, settings):
        return None
    spec, weights = spec_and_weights(run_directory, step)
    asked = (spec.data.version, spec.data.modality_hash, weights_hash(weights))
    identity = (evaluation.dataset_version, evaluation.modality_hash, evaluation.model_hash)
    return evaluation if identity == asked else None


def spec_and_weights(run_directory: Path, step: int | None) -> tuple[TrainingSpec, Path]:
    """Spec and folder of weights of a checkpoint, or of the final ones of a finished run.

    ``CheckpointError`` where it has no such weights.
    """
    weights = model_of_run(run_directory, None if step is None else str(step)).directory
    return stored_spec(run_directory), weights


def stored_spec(run_directory: Path) -> TrainingSpec:
    """The spec of a run, in the store that it lies in; ``SpecError`` where it cannot be read."""
    spec = load_spec(run_directory / SPEC)
    here = run_directory.resolve()
    if len(here.parents) > 2:
        moved = Store(here.parents[2])
        if moved.run_directory(spec.experiment.name, spec.config_hash) == here:
            return spec.model_copy(update={"store": str(moved.root)})
    return spec


def weights_hash(folder: Path) -> str:
    """First 16 hex digits of a SHA-256 over the weights in a folder: a run's model, a checkpoint.

    Over every safetensors file that is not for training alone; over every such file where a trainer
    writes no safetensors.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if path.name not in (COMPLETE, WEIGHTS_ONLY)]
    files = [path for path in files if not is_training_file(path.name)]
    weights = [path for path in files if path.parent == folder and path.suffix == ".safetensors"]
    whole = hashlib.sha256()
    for path in weights or files:
        whole.update(bytes.fromhex(sha256(path)))
    return whole.hexdigest()[:16]


class _Work:
    """What the parts of one dataset share in one evaluation.

    ``data`` has the demonstrations of each part, the held-out part first where there is one, and
    ``instructions`` every prompt of the dataset.
    """

    def __init__(
        self, dataset: RunDataset, predictor: Predictor, settings: EvaluationSettings
    ) -> None:
        self._config = config = dataset.config
        self.files = files = LeRobotDataset.open(dataset.directory, dataset.name)
        frames = FrameCache.open(dataset.frame_cache, config.frame_size)
        self.predictor, self._settings = predictor, settings
        self._groups = action_groups(config)
        self.data: dict[PartName, Demonstrations] = {}
        if config.held_out_episodes:
            self.data["held out"] = Demonstrations(files, frames, config, "held_out")
        train = self.data["seen in training"] = Demonstrations(files, frames, config, "train")
        self._training = TrainingActions(train)
        self.instructions = {text for data in self.data.values() for text in data.instructions}

    def predictions(self, part: PartName) -> PartPredictions:
        """Predict at the windows of a part."""
        data = self.data[part]
        indices, counts = np.unique(data.episodes, return_counts=True)
        chosen = spread_positions(len(indices), self._settings.max_episodes)
        needs_row_before = any(group.held == "last action" for group in self._groups)
        windows = choose_windows(
            dict(zip(indices[chosen].tolist(), counts[chosen].tolist(), strict=True)),
            self._config.action_indices,
            self._settings,
            first_row=int(needs_row_before),
        )
        features = self.files.features
        names = {
            group.key.key: feature.names[group.key.start : group.key.end]
            for group in self._groups
            if (feature := features.get(group.key.original_key)) is not None and feature.names
        }
        return PartPredictions(
            part=part,
            episodes_in_part=len(indices),
            windows=windows,
            recorded=recorded_at(windows, self.files, self._groups, self._config),
            predicted=self.predictor.predict(
                data, windows, f"{self.files.name}, {part}: {counted(len(chosen), 'episode')}"
            ),
            rules=self._training.answers(data.states(row_numbers(data, windows))[:, 0]),
            training_rows=(len(self._training.rows), len(self.data["seen in training"])),
            groups=self._groups,
            labels=names,
            dataset=self.files.name,
        )
