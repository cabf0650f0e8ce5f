"""Hold a dataset against a data config: a modality config, or one error that lists everything."""

from collections.abc import Sequence

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.datasets.fit.oddities import find_oddities
from gr00t_assets.datasets.fit.problems import (
    DatasetFacts,
    Problem,
    find_problems,
    vector_dim,
)
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.datasets.sources.record import Camera
from gr00t_assets.modality.config import ModalityConfig, VectorKey, VideoKey
from gr00t_assets.modality.data_configs import (
    DATA_CONFIGS,
    EMBODIMENT_IDS,
    DataConfig,
    VectorKeyConfig,
)
from gr00t_assets.modality.schema import Modality
from gr00t_assets.modality.statistics import ColumnStatistics


def resolve_modality_config(
    dataset: LeRobotDataset,
    name: str,
    version: str,
    data_config: str,
    embodiment_tag: str,
    measured: Sequence[Camera] = (),
) -> ModalityConfig:
    """Hold a dataset against a data config.

    Args:
        dataset: The dataset.
        name: Its name in the catalog.
        version: Its content hash.
        data_config: Name of one of N1.5's twelve data configs.
        embodiment_tag: One of N1.5's embodiment tags.
        measured: Cameras as the videos are, where known; ``meta/info.json`` is believed otherwise.

    Returns:
        The resolved keys, slices, dimensions and statistics, with warnings of what is odd and yet
        usable.

    Raises:
        DatasetError: It does not fit. Every missing camera and key, every slice past its vector,
            every column without statistics and an unknown tag or data config are listed, with the
            data configs that would fit.
    """
    config = DATA_CONFIGS.get(data_config)
    name_problems = _name_problems(data_config, embodiment_tag)
    try:
        facts = DatasetFacts(dataset, measured)
        statistics = ColumnStatistics(dataset)
    except DatasetError as error:
        others = (problem.sentence for problem in name_problems)
        raise DatasetError(name, error.problem, [*error.details, *others]) from error
    if config is None:
        raise _error(name, name_problems, _fitting(facts))
    unfit = find_problems(facts, config)
    state, state_problems = _vector_keys(facts, statistics, config, "state")
    action, action_problems = _vector_keys(facts, statistics, config, "action")
    language = facts.modality.annotation_column(config.language)
    problems = [
        *unfit,
        *name_problems,
        *state_problems,
        *action_problems,
        *_unknown_tasks(dataset, language),
    ]
    if problems:
        raise _error(name, problems, _fitting(facts) if unfit else None)
    return ModalityConfig(
        dataset=name,
        dataset_version=version,
        data_config=config.name,
        embodiment_tag=embodiment_tag,
        embodiment_id=EMBODIMENT_IDS[embodiment_tag],
        video=tuple(_video_key(facts, key) for key in config.video),
        state=state,
        action=action,
        language=language,
        observation_indices=config.observation_indices,
        action_indices=config.action_indices,
        state_dim=_total(facts, config, "state"),
        action_dim=_total(facts, config, "action"),
        max_state_dim=config.max_state_dim,
        max_action_dim=config.max_action_dim,
        image_size=config.image_size,
        crop_scale=config.crop_scale,
        warnings=tuple(find_oddities(facts, config, statistics, (*state, *action))),
    )


def fitting_data_configs(dataset: LeRobotDataset) -> list[str]:
    """Names of the data configs whose keys the dataset has, in the table's order.

    Raises:
        DatasetError: ``meta/modality.json`` is missing or wrong.
    """
    return _fitting(DatasetFacts(dataset))


def _fitting(facts: DatasetFacts) -> list[str]:
    return [name for name, config in DATA_CONFIGS.items() if not find_problems(facts, config)]


def _name_problems(data_config: str, embodiment_tag: str) -> list[Problem]:
    problems = []
    if data_config not in DATA_CONFIGS:
        hint = did_you_mean(data_config, DATA_CONFIGS)
        problems.append(Problem(f"there is no data config '{data_config}'; {hint}"))
    if embodiment_tag not in EMBODIMENT_IDS:
        problems.append(
            Problem(
                f"embodiment tag '{embodiment_tag}' is not one of N1.5's: "
                f"{', '.join(EMBODIMENT_IDS)}.",
                ("a robot that the base model has not seen takes new_embodiment",),
            )
        )
    return problems


def _error(name: str, problems: list[Problem], fitting: list[str] | None) -> DatasetError:
    lines = list(problems[0].body(after_sentence=True))
    for problem in problems[1:]:
        lines.extend(problem.body(after_sentence=False))
    if fitting:
        lines.append(f"data configs that fit this dataset: {', '.join(fitting)}")
    elif fitting is not None:
        lines.append(
            "no data config fits this dataset; name its cameras and keys in meta/modality.json "
            "as one of them does"
        )
    return DatasetError(name, problems[0].sentence, lines)


def _wanted(config: DataConfig, modality: Modality) -> tuple[VectorKeyConfig, ...]:
    return config.state if modality == "state" else config.action


def _total(facts: DatasetFacts, config: DataConfig, modality: Modality) -> int:
    slices = facts.modality.slices(modality)
    return sum(vector_dim(slices[key.key], key) for key in _wanted(config, modality))


def _vector_keys(
    facts: DatasetFacts, statistics: ColumnStatistics, config: DataConfig, modality: Modality
) -> tuple[tuple[VectorKey, ...], list[Problem]]:
    """The keys with their statistics; a key that another check reports is passed over."""
    keys: list[VectorKey] = []
    problems: list[Problem] = []
    for wanted in _wanted(config, modality):
        entry = facts.modality.slices(modality).get(wanted.key)
        if entry is None:
            continue
        column = facts.modality.vector_column(modality, wanted.key)
        if entry.end > (facts.vector_length(column) or 0):
            continue
        try:
            statistics.see_finite_rows(column, entry.start, entry.end)
            found = statistics.key(column, entry.start, entry.end)
        except DatasetError as error:
            lines = tuple(f"{modality} key '{wanted.key}': {line}" for line in error.details)
            problems.append(Problem(error.problem, lines, bool(lines)))
            continue
        keys.append(
            VectorKey(
                key=wanted.key,
                original_key=column,
                start=entry.start,
                end=entry.end,
                absolute=entry.absolute,
                rotation_type=entry.rotation_type,
                target_rotation=wanted.target_rotation,
                sin_cos=wanted.sin_cos,
                normalization=wanted.normalization,
                statistics=found,
            )
        )
    return tuple(keys), problems


def _video_key(facts: DatasetFacts, key: str) -> VideoKey:
    camera = facts.cameras[facts.modality.video_feature(key)]
    return VideoKey(
        key=key,
        original_key=camera.original_key,
        height=camera.height,
        width=camera.width,
        fps=camera.fps,
    )


def _unknown_tasks(dataset: LeRobotDataset, column: str | None) -> list[Problem]:
    """Task indices of the language column that ``meta/tasks.jsonl`` does not have."""
    problems = []
    if column is None or column not in dataset.columns:
        return []
    first: dict[object, int] = {}
    for episode in dataset.episodes:
        try:
            found = np.unique(dataset.vector(episode.index, column)).tolist()
        except DatasetError as error:
            problems.append(Problem(error.problem, error.details))
            continue
        for index in found:
            if index not in dataset.tasks:
                first.setdefault(index, episode.index)
    return problems + [
        Problem(
            f"task index {index} in {column}, first in episode {episode}, is not in "
            "meta/tasks.jsonl."
        )
        for index, episode in first.items()
    ]
