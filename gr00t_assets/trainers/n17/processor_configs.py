"""Files of NVIDIA's N1.7 processor made of modality configs, and modality configs made of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gr00t_assets.core.errors import CheckpointError, DataConfigError
from gr00t_assets.modality.config import (
    ChunkStatistics,
    ModalityConfig,
    Statistics,
    VectorKey,
    VideoKey,
)
from gr00t_assets.modality.data_config import ColorJitter
from gr00t_assets.modality.generations import GENERATIONS
from gr00t_assets.modality.key_config import CameraTransforms
from gr00t_assets.trainers.n17.architecture import N17Config
from gr00t_assets.trainers.n17.processor_files import (
    ActionSettings,
    ModalitySettings,
    ProcessorFiles,
    ProcessorSettings,
)

_PARTS = {"state": "observation.state", "action": "action"}  # Columns by modality.
_MODES = ("percentiles", "min_max", "mean_std")
_RELATIVE_MODES = ("min_max", "mean_std")
_NEEDED = {
    **{"use_albumentations": True, "formalize_language": True},
    **{"clip_outliers": True, "exclude_state": False},
}
"""Settings that are followed here with these values alone."""


def files_of(configs: Sequence[ModalityConfig], model: N17Config) -> ProcessorFiles:
    """Those of a model that was trained on some data.

    Raises:
        DataConfigError: NVIDIA's processor does something else; every such setting is named.
    """
    if problems := inexpressible(configs):
        names = ", ".join(dict.fromkeys(config.data_config for config in configs))
        problem = "Isaac-GR00T's processor does not do what this data config says."
        raise DataConfigError(names, problem, problems)
    first, edge = configs[0], model.shortest_image_edge
    crop = int(edge * first.crop_scale)
    keys = [key for config in configs for key in (*config.state, *config.action)]
    settings = ProcessorSettings(
        modality_configs={config.embodiment_tag: _modalities(config) for config in configs},
        image_crop_size=(crop, crop),
        image_target_size=(edge, edge),
        use_albumentations=True,
        color_jitter_params=first.color_jitter.model_dump(),
        shortest_image_edge=edge,
        crop_fraction=first.crop_scale,
        letter_box_transform=_borders(first),
        model_name=model.model_name,
        max_state_dim=model.max_state_dim,
        max_action_dim=model.max_action_dim,
        max_action_horizon=model.action_horizon,
        use_percentiles=any(key.normalization == "percentiles" for key in keys),
        use_mean_std=any(key.normalization == "mean_std" for key in keys),
        apply_sincos_state_encoding=any(key.sin_cos for key in keys),
        use_relative_action=any(key.is_relative for key in keys),
        state_dropout_prob=model.state_dropout_prob,
    )
    ids = {config.embodiment_tag: config.embodiment_id for config in configs}
    statistics = {config.embodiment_tag: _statistics(config) for config in configs}
    return ProcessorFiles(settings, statistics, {**GENERATIONS["n1.7"].embodiment_ids, **ids})


def inexpressible(configs: Sequence[ModalityConfig]) -> list[str]:
    """What modality configs ask for and NVIDIA's processor does not do, a sentence each."""
    problems = [f"{config.dataset}: {text}" for config in configs for text in _own(config)]
    by_tag: dict[str, ModalityConfig] = {}
    for config in configs:
        other = by_tag.setdefault(config.embodiment_tag, config)
        if (_modalities(other), other.embodiment_id) != (_modalities(config), config.embodiment_id):
            both = f"{other.dataset} and {config.dataset}"
            problems.append(f"{both} have one embodiment tag, but other keys or another id")
    keys = [key for config in configs for key in (*config.state, *config.action)]
    if {"min_max", "percentiles"} <= {key.normalization for key in keys if not key.is_relative}:
        both = "some absolute keys have percentiles and some min_max"
        problems.append(f"{both}; it takes one of them")
    images = [(config.crop_scale, config.color_jitter, _borders(config)) for config in configs]
    problems += [
        f"{config.dataset} and {configs[0].dataset} differ in crop_scale, color_jitter or borders"
        for config, own in zip(configs, images, strict=True)
        if own != images[0]
    ]
    return problems


def _own(config: ModalityConfig) -> Iterator[str]:
    """What of one modality config is not NVIDIA's."""
    for camera in config.video:
        own = camera.transforms
        if own.region or own.crop_scale or (own.resize == "letterbox") != _borders(config):
            yield f"camera {camera.key} is cut or resized in its own way, {own.text() or 'stretch'}"
    for part in _PARTS:
        for key in getattr(config, part):
            name, modes = f"{part}.{key.key}", _RELATIVE_MODES if key.is_relative else _MODES
            turned = key.target_rotation not in (None, key.rotation_type)
            if turned or (key.is_relative and key.rotation_type):
                yield f"{name} is turned as a rotation, {key.rotation_type}"
            if key.sin_cos and part == "action":
                yield f"{name} has sin_cos, which is for states alone"
            if not key.sin_cos and key.normalization not in modes:
                kind = "relative action" if key.is_relative else "key"
                found = f"{name} has normalization {key.normalization or 'none'}"
                yield f"{found}; such a {kind} takes {', '.join(modes)}"


def _borders(config: ModalityConfig) -> bool:
    return bool(config.video) and config.video[0].transforms.resize == "letterbox"


def _modalities(config: ModalityConfig) -> dict[str, ModalitySettings]:
    language = config.language_key or config.language or "task"
    observed = config.observation_indices
    cameras = tuple(camera.key for camera in config.video)
    actions = _of_keys(config.action, config.action_indices)
    settings = tuple(
        ActionSettings.model_validate(
            {name: getattr(key, name).upper() for name in ("rep", "type", "format")}
            | {"state_key": key.state_key}
        )
        for key in config.action
    )
    return {
        "video": ModalitySettings(delta_indices=observed, modality_keys=cameras),
        "state": _of_keys(config.state, observed),
        "action": actions.model_copy(update={"action_configs": settings}),
        "language": ModalitySettings(delta_indices=observed, modality_keys=(language,)),
    }


def _of_keys(keys: Sequence[VectorKey], indices: tuple[int, ...]) -> ModalitySettings:
    return ModalitySettings(
        delta_indices=indices,
        modality_keys=tuple(key.key for key in keys),
        sin_cos_embedding_keys=tuple(key.key for key in keys if key.sin_cos) or None,
        mean_std_embedding_keys=tuple(key.key for key in keys if key.normalization == "mean_std")
        or None,
    )


def _statistics(config: ModalityConfig) -> dict[str, dict[str, Any]]:
    """Of one tag; ``relative_action`` is (horizon, numbers), the others (numbers,)."""
    statistics: dict[str, dict[str, Any]] = {
        part: {key.key: key.statistics.model_dump(mode="json") for key in getattr(config, part)}
        for part in _PARTS
    }
    statistics["relative_action"] = {
        key.key: key.chunk_statistics.model_dump(mode="json")
        for key in config.action
        if key.is_relative and key.chunk_statistics is not None
    }
    return statistics


def configs_of(files: ProcessorFiles, model: Path) -> tuple[ModalityConfig, ...]:
    """The modality configs of a model by the files beside it, the tag to act for by default first.

    Their dataset is the embodiment tag. Sizes and rates of the cameras are 0, not known.

    Raises:
        CheckpointError: Something is asked for that is not done here; every such setting is named.
    """
    settings = files.settings
    problems = [
        f"{name} is {str(not value).lower()}"
        for name, value in _NEEDED.items()
        if getattr(settings, name) != value
    ]
    if settings.edge is None or settings.crop_scale is None:
        problems.append("it has neither shortest_image_edge and crop_fraction nor sizes of images")
    if not files.tags:
        problems.append("it has statistics of no embodiment tag")
    configs = []
    for tag in () if problems else files.tags:
        try:
            configs.append(_config(files, tag))
        except (ValueError, LookupError, TypeError) as error:
            lines = [error]
            if isinstance(error, ValidationError):
                lines = [line["msg"] for line in error.errors()]
            problems += [f"{tag}: {line}" for line in lines]
    # Tags of the pretraining that are not done here are no hindrance to the one that was trained.
    if not configs:
        problem = "what its processor does with the data is not done here."
        raise CheckpointError(str(model), problem, problems)
    return tuple(configs)


def _config(files: ProcessorFiles, tag: str) -> ModalityConfig:
    settings, modalities = files.settings, files.settings.modality_configs[tag]
    assert settings.edge is not None and settings.crop_scale is not None
    for part in ("video", "state", "language"):
        if (indices := modalities[part].delta_indices) != (0,):
            raise ValueError(f"{part} has delta_indices {list(indices)}; [0] is done here")
    resize = "letterbox" if settings.letter_box_transform else "stretch"
    state, action = (_vectors(files, tag, part) for part in _PARTS)
    language = modalities["language"].modality_keys[0]
    horizon = len(modalities["action"].delta_indices)
    if horizon > settings.max_action_horizon:
        raise ValueError(f"it has chunks of {horizon} actions, over max_action_horizon")
    jitter = settings.color_jitter_params or dict.fromkeys(ColorJitter.model_fields, 0.0)
    return ModalityConfig(
        dataset=tag,
        dataset_version="",
        data_config=tag,
        generation="n1.7",
        embodiment_tag=tag,
        embodiment_id=files.embodiment_ids[tag],
        video=tuple(
            VideoKey(
                key=name,
                original_key=f"observation.images.{name}",
                height=0,
                width=0,
                fps=0,
                transforms=CameraTransforms(resize=resize),
            )
            for name in modalities["video"].modality_keys
        ),
        state=state,
        action=action,
        language=language,
        observation_indices=(0,),
        action_indices=modalities["action"].delta_indices,
        state_dim=sum(key.dim(key.end - key.start, None) for key in state),
        action_dim=sum(key.end - key.start for key in action),
        max_state_dim=settings.max_state_dim,
        max_action_dim=settings.max_action_dim,
        image_size=settings.edge,
        crop_scale=settings.crop_scale,
        color_jitter=ColorJitter.model_validate(jitter),
    )


def _vectors(files: ProcessorFiles, tag: str, part: str) -> tuple[VectorKey, ...]:
    """The keys of one part, one after another in its column."""
    settings, modality = files.settings, files.settings.modality_configs[tag][part]
    actions = modality.action_configs or (ActionSettings(),) * len(modality.modality_keys)
    keys, start = [], 0
    for name, action in zip(modality.modality_keys, actions, strict=True):
        statistics = Statistics.model_validate(files.statistics[tag][part][name])
        place = {"start": start, "end": (start := start + len(statistics.min))}
        mode = "percentiles" if settings.use_percentiles else "min_max"
        own: dict[str, Any] = {"normalization": mode}
        if name in (modality.mean_std_embedding_keys or ()):
            own = {"normalization": "mean_std"}
        if settings.apply_sincos_state_encoding and part == "state":
            own = {"sin_cos": True} if name in (modality.sin_cos_embedding_keys or ()) else own
        if action.rep == "RELATIVE" and settings.use_relative_action:
            chunk = ChunkStatistics.model_validate(files.statistics[tag]["relative_action"][name])
            own |= {"rep": "relative", "state_key": action.state_key, "chunk_statistics": chunk}
            if own["normalization"] != "mean_std":
                own["normalization"] = "min_max"
            if action.type == "EEF":
                own |= {"type": action.type, "format": action.format}
        keys.append(
            VectorKey(key=name, original_key=_PARTS[part], statistics=statistics, **place, **own)
        )
    return tuple(keys)
