"""Which frames Isaac-GR00T is fed: those of the frame cache, or what its video backend gives."""

from gr00t_assets.core.errors import DatasetError, TrainingError
from gr00t_assets.datasets.frames.frame_index import FRAMES, TIMES, cache_folder, read_indices
from gr00t_assets.datasets.frames.truth.faults import known_backend_fault
from gr00t_assets.datasets.frames.truth.result import frames_verified
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.launch import CameraFrames


def cached_frames(spec: TrainingSpec) -> dict[str, CameraFrames]:
    """The frame cache by camera key, as the launcher maps it.

    Raises:
        DatasetError: A camera's frames are missing or damaged.
        TrainingError: They were cached at another size than the video's, which Isaac-GR00T's
            transforms refuse.
    """
    config = spec.modality_config
    if config.frame_size is not None:
        width, height = config.frame_size
        raise TrainingError(
            spec.experiment.name,
            "isaac-gr00t takes frames at their own size only.",
            [
                f"data/datasets.yaml caches those of {config.dataset} at {width} x {height}",
                "take frame_size out there and materialise the dataset, or train with native",
            ],
        )
    indices = read_indices(cache_folder(spec.frame_cache))
    missing = [
        camera.original_key for camera in config.video if indices.get(camera.original_key) is None
    ]
    if missing:
        raise DatasetError(
            config.dataset,
            "its frame cache lacks cameras, or is damaged.",
            [
                f"missing: {', '.join(missing)}",
                "run: dagster asset materialize -m gr00t_assets.definitions "
                f"--select frame_cache --partition {config.dataset}",
            ],
        )
    found = {}
    for camera in config.video:
        index = indices[camera.original_key]
        assert index is not None
        folder = cache_folder(spec.frame_cache) / camera.original_key
        found[camera.key] = CameraFrames(
            frames=str(folder / FRAMES),
            timestamps=str(folder / TIMES),
            spans={span.episode: (span.first_row, span.frames) for span in index.plan.spans},
        )
    return found


def refuse_wrong_frames(spec: TrainingSpec, environment: IsaacEnvironment) -> None:
    """Refuse a video backend that is known to give wrong frames at the commit that trains.

    Raises:
        TrainingError: It is; the message says since when it is mended and what to do.
    """
    settings = spec.experiment.hyperparameters
    if settings.frame_source == "cache":
        return
    commit = environment.commit()
    fault = known_backend_fault(settings.video_backend, commit, environment.checkout)
    if fault is not None:
        raise TrainingError(
            spec.experiment.name,
            f"video_backend {settings.video_backend} would train it on wrong images.",
            [
                fault,
                "take frame_source: video out of the sweep file: the frame cache has the right "
                "frames, and is faster",
            ],
        )


def right_frames(spec: TrainingSpec) -> bool:
    """Whether the frames that the run is fed were found to be the right ones."""
    settings = spec.experiment.hyperparameters
    if settings.frame_source == "cache":
        return frames_verified(spec.frame_truth)
    checked = [
        truth for truth in spec.modality_config.frames if truth.backend == settings.video_backend
    ]
    return bool(checked) and all(truth.verified for truth in checked)
