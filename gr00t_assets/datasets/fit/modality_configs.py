"""A dataset held against a data config: its modality config, or one error that lists everything."""

from collections.abc import Sequence

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.project import Store, own_modality_file
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.catalog import CatalogEntry, held_out_episodes
from gr00t_assets.datasets.column_statistics import ColumnStatistics
from gr00t_assets.datasets.fit.dataset_check import check_stored_dataset
from gr00t_assets.datasets.fit.fit_check import (
    DatasetFacts,
    fit_finding,
    fit_findings,
    fitting_data_configs,
    name_findings,
    present_keys,
    rotation_of,
    total_dim,
)
from gr00t_assets.datasets.fit.fit_warnings import fit_warnings
from gr00t_assets.datasets.fit.relative_statistics import relative_statistics
from gr00t_assets.datasets.frames.frame_check import check_frames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.record import Camera, DatasetRecord, load_record
from gr00t_assets.modality.config import ModalityConfig, VectorKey, VideoKey, save_modality_config
from gr00t_assets.modality.data_config import EMBODIMENT_IDS, DataConfig, data_configs
from gr00t_assets.modality.key_config import CameraTransforms
from gr00t_assets.modality.modality_json import FILE, Modality


def build_modality_config(
    entry: CatalogEntry, store: Store, video_backends: Sequence[str] = ()
) -> ModalityConfig:
    """Hold the current version of a dataset against its data config and keep the result.

    Where it fails the config of before is removed, so that nothing trains on a stale one.

    Args:
        video_backends: Backends whose frames are compared with those decoded in order.

    Raises:
        DatasetError: The dataset is not in the store, does not fit, or has a fault that
            ``check_stored_dataset`` calls an error; every problem is listed.
    """
    try:
        record = load_record(entry.name, store)
        dataset = LeRobotDataset.open(record.directory(store), name=entry.name)
        if dataset.modality is None:
            raise _missing_modality(entry.name)
        config = resolve_modality_config(
            dataset,
            entry.name,
            record.version,
            entry.data_config,
            embodiment_tag_of(entry),
            record.cameras,
        )
        _require_sound_files(entry, record, store)
        cameras = [key.original_key for key in config.video]
        config = config.model_copy(
            update={
                "held_out_episodes": held_out_episodes(
                    entry.held_out, dataset, record.curated.episodes if record.curated else ()
                ),
                "frame_size": entry.frame_size,
                "frames": tuple(
                    check_frames(dataset, None, cameras, backend) for backend in video_backends
                ),
            }
        )
    except DatasetError as error:
        store.modality_config(entry.name).unlink(missing_ok=True)
        raise _naming_own_file(error, entry.name) from error
    except Exception:
        store.modality_config(entry.name).unlink(missing_ok=True)
        raise
    save_modality_config(config, store)
    return config


def _naming_own_file(error: DatasetError, name: str) -> DatasetError:
    """The error, with the project's own ``modality.json`` in place of the copy in the store."""
    own = own_modality_file(name)
    if not own.is_file():
        return error
    shown = shown_path(own)
    problem, *lines = (text.replace(FILE, shown) for text in (error.problem, *error.details))
    if not any(shown in text for text in (problem, *lines)):
        lines.append(f"its keys are those of {shown}")
    return DatasetError(error.subject, problem, lines)


def _missing_modality(name: str) -> DatasetError:
    shown = shown_path(own_modality_file(name))
    return DatasetError(
        name,
        f"{FILE} is missing.",
        [
            "GR00T needs it to know which numbers of state and action are which part",
            f"draft it from the names of its columns: gr00t-assets dataset add {name}",
            f"look at {shown}, and materialise the dataset again",
        ],
    )


def _require_sound_files(entry: CatalogEntry, record: DatasetRecord, store: Store) -> None:
    """Check the files of a dataset; the findings of a version are kept.

    Raises:
        DatasetError: Every error of ``check_stored_dataset``, with the file and what to do.
    """
    findings = check_stored_dataset(record, store, entry.data_config, embodiment_tag_of(entry))
    if findings.ok:
        return
    lines = [f"{item.subject or 'dataset'}: {item.text}" for item in findings.errors]
    lines.append(f"the whole list: gr00t-assets dataset check {entry.name}")
    raise DatasetError(entry.name, f"{findings.summary()} in its files.", lines)


_STATISTICS = "key-statistics"
_LISTING = ("config-key", _STATISTICS)
"""Codes whose text lists, after the sentence, lines that are clear without it."""


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
        measured: Cameras as the videos are, where known; ``meta/info.json`` is believed otherwise.

    Returns:
        The resolved keys, slices, dimensions and statistics, with warnings of what is odd and yet
        usable.

    Raises:
        DatasetError: It does not fit. Every missing camera and key, every slice past its vector,
            every column without statistics and an unknown tag or data config are listed, with the
            data configs that would fit.
    """
    unknown_names = name_findings(data_config, embodiment_tag)
    try:
        facts = DatasetFacts(dataset, measured)
        statistics = ColumnStatistics(dataset)
    except DatasetError as error:
        sentences = (_sentence_and_lines(finding)[0] for finding in unknown_names)
        raise DatasetError(name, error.problem, [*error.details, *sentences]) from error
    if any(finding.code == "data-config-unknown" for finding in unknown_names):
        raise _error(name, unknown_names, fitting_data_configs(facts))
    config = data_configs()[data_config]
    unfit = fit_findings(facts, config)
    state, state_findings = _vector_keys(facts, statistics, config, "state")
    action, action_findings = _vector_keys(facts, statistics, config, "action")
    language = facts.modality.annotation_column(config.language)
    findings = [
        *unfit,
        *unknown_names,
        *state_findings,
        *action_findings,
        *_unknown_tasks(dataset, language),
    ]
    if findings:
        raise _error(name, findings, fitting_data_configs(facts) if unfit else None)
    action = relative_statistics(dataset, state, action, config.action_indices)
    return ModalityConfig(
        dataset=name,
        dataset_version=version,
        data_config=config.name,
        embodiment_tag=embodiment_tag,
        embodiment_id=(
            EMBODIMENT_IDS[embodiment_tag] if config.embodiment_id is None else config.embodiment_id
        ),
        video=tuple(_video_key(facts, config, key) for key in config.video),
        state=state,
        action=action,
        language=language,
        language_key=config.language if config.language != language else None,
        state_dim=total_dim(facts, config, "state"),
        action_dim=total_dim(facts, config, "action"),
        warnings=tuple(fit_warnings(facts, config, statistics, (*state, *action))),
        **config.model_dump(exclude=_RESOLVED),
    )


_RESOLVED = {
    *("name", "video", "cameras", "state", "action", "language"),
    *("embodiment_tag", "embodiment_id"),
}
"""Fields of a data config that a modality config has in another form."""


def embodiment_tag_of(entry: CatalogEntry) -> str:
    """The catalog's embodiment tag; where it names none, that of the data config."""
    config = data_configs().get(entry.data_config)
    if "embodiment_tag" in entry.model_fields_set or config is None:
        return entry.embodiment_tag
    return config.embodiment_tag or entry.embodiment_tag


def _error(name: str, findings: list[Finding], fitting: list[str] | None) -> DatasetError:
    sentence, lines = _sentence_and_lines(findings[0])
    for finding in findings[1:]:
        other, details = _sentence_and_lines(finding)
        lines += details if details and finding.code in _LISTING else [other, *details]
    if fitting:
        lines.append(f"data configs that fit this dataset: {', '.join(fitting)}")
    elif fitting is not None:
        lines.append(
            "no data config fits this dataset; name its cameras and keys in meta/modality.json "
            "as one of them does"
        )
    return DatasetError(name, sentence, lines)


def _sentence_and_lines(finding: Finding) -> tuple[str, list[str]]:
    """A finding as an error tells it: what is wrong, then what was expected and what to do."""
    if finding.code in _LISTING:
        sentence, *details = finding.found.split("; ")
        return f"{sentence}.", [finding.expected, *details] if finding.expected else details
    if finding.code == "data-config-unknown":
        return f"{finding.found}; {finding.remedy}", []
    if finding.code == "embodiment-tag-unknown":
        return f"{finding.found}: {finding.expected.removeprefix('one of ')}.", [finding.remedy]
    return f"{finding.found}.", []


def _vector_keys(
    facts: DatasetFacts, statistics: ColumnStatistics, config: DataConfig, modality: Modality
) -> tuple[tuple[VectorKey, ...], list[Finding]]:
    """The keys with their statistics; a key that another check reports is skipped."""
    keys: list[VectorKey] = []
    findings: list[Finding] = []
    for key, entry in present_keys(facts, config, modality):
        column = facts.modality.vector_column(modality, key.key)
        if entry.end > (facts.vector_length(column) or 0):
            continue
        try:
            statistics.require_finite_rows(column, entry.start, entry.end)
            key_statistics = statistics.key(column, entry.start, entry.end)
        except DatasetError as error:
            lines = [f"{modality} key '{key.key}': {line}" for line in error.details]
            text = "; ".join([error.problem.removesuffix("."), *lines])
            findings.append(fit_finding(_STATISTICS, text))
            continue
        keys.append(
            VectorKey(
                original_key=column,
                statistics=key_statistics,
                rotation_type=rotation_of(key, entry),
                **entry.model_dump(include={"start", "end", "absolute"}),
                **key.model_dump(exclude={"rotation_type"}),
            )
        )
    return tuple(keys), findings


def _video_key(facts: DatasetFacts, config: DataConfig, key: str) -> VideoKey:
    camera = facts.cameras[facts.modality.video_feature(key)]
    transforms = config.cameras.get(key, CameraTransforms())
    return VideoKey(key=key, transforms=transforms, **camera.model_dump(exclude={"codec"}))


def _unknown_tasks(dataset: LeRobotDataset, column: str | None) -> list[Finding]:
    """Task indices of the language column that ``meta/tasks.jsonl`` does not have."""
    findings = []
    if column is None or column not in dataset.features:
        return []
    first_episode: dict[object, int] = {}
    for episode in dataset.episodes:
        try:
            indices = np.unique(dataset.vector(episode.index, column)).tolist()
        except DatasetError as error:
            text = "; ".join([error.problem.removesuffix("."), *error.details])
            findings.append(fit_finding("config-language", text))
            continue
        for index in indices:
            if index not in dataset.tasks:
                first_episode.setdefault(index, episode.index)
    return findings + [
        fit_finding(
            "config-language",
            f"task index {index} in {column}, first in episode {episode}, is not in "
            "meta/tasks.jsonl",
        )
        for index, episode in first_episode.items()
    ]
