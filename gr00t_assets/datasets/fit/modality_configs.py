"""A dataset held against a data config: its modality config, or one error that lists everything."""

from collections.abc import Sequence

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.checks.meta_files import MODALITIES
from gr00t_assets.datasets.curation import held_out_episodes
from gr00t_assets.datasets.fit.dataset_check import check_stored_dataset
from gr00t_assets.datasets.fit.fit_check import Fit, known_cameras, name_findings, rotation_of
from gr00t_assets.datasets.frames.frame_check import check_frames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.features import Camera
from gr00t_assets.datasets.lerobot.statistics import ColumnStatistics, relative_statistics
from gr00t_assets.datasets.sources.versions import load_record, require_sound_version
from gr00t_assets.modality.config import ModalityConfig, VectorKey, VideoKey, save_modality_config
from gr00t_assets.modality.data_config import data_configs
from gr00t_assets.modality.generations import GENERATIONS
from gr00t_assets.modality.key_config import CameraTransforms
from gr00t_assets.modality.modality_json import Modality, parse_modality


def build_modality_config(
    entry: CatalogEntry, store: Store, video_backends: Sequence[str] = ()
) -> ModalityConfig:
    """Hold the current version of a dataset against its data config and keep the result.

    Where it fails the config of before is removed, so that nothing trains on a stale one. It has
    the warnings of ``check_stored_dataset``, and of the frames that ``video_backends`` give. A
    DatasetError where the dataset is not in the store, or with all errors of the check.
    """
    try:
        record = load_record(entry.name, store)
        require_sound_version(record.name, record.version, store)
        tag = embodiment_tag_of(entry)
        findings = check_stored_dataset(record, store, entry.data_config, tag)
        if not findings.ok:
            more = f"the whole list: gr00t-assets dataset check {entry.name}"
            problem = f"it cannot be trained on as it is: {findings.summary()}."
            raise DatasetError(entry.name, problem, [*map(_line, findings.errors), more])
        dataset = LeRobotDataset.open(record.directory(store), name=entry.name)
        config = resolve_modality_config(
            dataset, entry.name, record.version, entry.data_config, tag, record.cameras
        )
        cameras = [key.original_key for key in config.video]
        frames = [check_frames(dataset, None, cameras, backend) for backend in video_backends]
        curated = record.curated.episodes if record.curated else ()
        update = {
            "warnings": tuple(map(_line, findings.warnings)),
            "held_out_episodes": held_out_episodes(entry.held_out, dataset, curated),
            "frame_size": entry.frame_size,
            "frames": tuple(frames),
        }
    except Exception:
        store.modality_config(entry.name).unlink(missing_ok=True)
        raise
    config = config.model_copy(update=update)
    save_modality_config(config, store)
    return config


def _line(finding: Finding) -> str:
    return f"{finding.subject}: {finding.text}" if finding.subject else finding.text


def resolve_modality_config(
    dataset: LeRobotDataset,
    name: str,
    version: str,
    data_config: str,
    embodiment_tag: str,
    measured: Sequence[Camera] = (),
) -> ModalityConfig:
    """The keys, slices, dimensions and statistics of a dataset whose files were checked.

    Cameras are as ``measured``; where that is not known, ``meta/info.json`` is believed. A
    DatasetError with every reason why it does not fit, or where a statistic cannot be had.
    """
    modality, config = parse_modality(dataset.modality, name), data_configs().get(data_config)
    cameras = known_cameras(dataset.info, dataset.cameras, measured)
    findings = name_findings(data_config, embodiment_tag)
    findings += Fit(modality, config).findings(cameras) if config is not None else []
    if findings or config is None:
        problem = f"it does not fit the data config {data_config}."
        raise DatasetError(name, problem, list(map(_line, findings)))
    generation = GENERATIONS[config.generation]
    statistics, fit = ColumnStatistics(dataset, generation.stored_statistics), Fit(modality, config)
    state, action = (_vector_keys(dataset, fit, statistics, kind) for kind in MODALITIES)
    language = modality.annotation_column(config.language)
    features = {key: modality.video_feature(key) for key in config.video}
    if absent := [feature for feature in features.values() if feature not in cameras]:
        raise DatasetError(name, f"it has no frames of {', '.join(absent)}.")
    return ModalityConfig(
        dataset=name,
        dataset_version=version,
        data_config=config.name,
        embodiment_tag=embodiment_tag,
        embodiment_id=generation.embodiment_ids[embodiment_tag]
        if config.embodiment_id is None
        else config.embodiment_id,
        video=tuple(
            VideoKey(
                key=key,
                transforms=config.cameras.get(key, CameraTransforms()),
                **cameras[feature].model_dump(exclude={"codec"}),
            )
            for key, feature in features.items()
        ),
        state=state,
        action=relative_statistics(dataset, state, action, config.action_indices),
        language=language,
        language_key=config.language if config.language != language else None,
        state_dim=fit.total_dim("state"),
        action_dim=fit.total_dim("action"),
        **config.model_dump(exclude=_RESOLVED),
    )


_RESOLVED = {
    *("video", "cameras", "state", "action", "language"),
    *("embodiment_tag", "embodiment_id"),
}
"""Fields of a data config that a modality config has in another form."""


def embodiment_tag_of(entry: CatalogEntry) -> str:
    """The catalog's embodiment tag; where it names none, that of the data config."""
    config = data_configs().get(entry.data_config)
    if "embodiment_tag" in entry.model_fields_set or config is None:
        return entry.embodiment_tag
    return config.embodiment_tag or entry.embodiment_tag


def _vector_keys(
    dataset: LeRobotDataset, fit: Fit, statistics: ColumnStatistics, modality: Modality
) -> tuple[VectorKey, ...]:
    """The keys with their statistics, and the names that the dataset has for their numbers."""
    keys = []
    for name, (key, entry) in fit.keys(modality).items():
        column = fit.file.vector_column(modality, name)
        feature = dataset.features.get(column)
        keys.append(
            VectorKey(
                key=name,
                original_key=column,
                statistics=statistics.key(column, entry.start, entry.end),
                rotation_type=rotation_of(key, entry),
                names=feature.names[entry.start : entry.end] if feature is not None else (),
                **entry.model_dump(include={"start", "end", "absolute"}),
                **key.model_dump(exclude={"rotation_type"}),
            )
        )
    return tuple(keys)
