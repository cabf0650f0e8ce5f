"""What ``launch_finetune.py`` of N1.7 cannot do of an experiment, by its source at 65cc4a1.

Its processor scales absolute numbers by percentiles or by their range, whichever the base model
has, and relative actions by their range at each step. It pads images to a square, and always crops
and jitters.
"""

from collections.abc import Iterator, Mapping

from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.data_config import DataConfig
from gr00t_assets.modality.key_config import ActionTransforms, CameraTransforms, KeyTransforms
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.data_config_limits import Limit, data_configs_of
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters

NATIVE = "train with native, which does"


def n17_limits(experiment: Experiment) -> Iterator[Limit]:
    """What the settings and the data configs of an experiment tell."""
    settings = IsaacHyperparameters.of(experiment)
    if settings.frame_source == "video":
        found = "N1.7's loader decodes whole shards of videos into memory, and by frame number"
        yield "frame_source", found, "leave it out: frames come from the frame cache"
    if settings.lora_rank:
        yield "lora_rank", "launch_finetune.py has no LoRA", f"leave it out, or {NATIVE}"
    if len(experiment.datasets) > 1 and not settings.balance_trajectory_weights:
        found = "launch_finetune.py draws every row alike, not every episode"
        yield "balance_trajectory_weights", found, f"leave it out, or {NATIVE}"
    for config in data_configs_of(experiment):
        for problem in _config_problems(config):
            found = f"isaac-gr00t does not take data config {config.name}: {problem}"
            yield "dataset", found, NATIVE


def n17_problems(spec: TrainingSpec) -> Iterator[list[str]]:
    """Sentences, and what they apply to with what to do, that only the data tells."""
    config = spec.modality_config
    cameras = {camera.key: camera.transforms for camera in config.video}
    state, action = ({key.key: key for key in keys} for keys in (config.state, config.action))
    if wrong := list(transform_problems(cameras, state, action)):
        yield [f"isaac-gr00t does not take data config {config.data_config}.", *wrong, NATIVE]
    if config.language is None:
        problem = f"data config {config.data_config} finds no instruction, and N1.7 needs one."
        yield [problem, "add an annotation to meta/modality.json, and name it as its language"]
    oblong = [
        f"{dataset.name}: {camera.key}, {camera.width} x {camera.height}"
        for dataset in spec.datasets
        for camera in dataset.config.video
        if camera.width != camera.height and camera.transforms.resize != "letterbox"
    ]
    if oblong:
        remedy = "write cameras: {NAME: {resize: letterbox}} in the data config, which is the same"
        yield ["N1.7's script pads these images to a square.", *oblong, remedy]


def _config_problems(config: DataConfig) -> Iterator[str]:
    return transform_problems(config.cameras, config.state, config.action)


def transform_problems(
    cameras: Mapping[str, CameraTransforms],
    state: Mapping[str, KeyTransforms],
    action: Mapping[str, ActionTransforms],
) -> Iterator[str]:
    """What N1.7's processor does not do of a data config."""
    for name, camera in cameras.items():
        if camera.region is not None or camera.crop_scale is not None:
            yield f"camera {name} has a region or crop of its own, and N1.7 has one for all"
    for part, keys in (("state", state), ("action", action)):
        for name, key in keys.items():
            relative = isinstance(key, ActionTransforms) and key.rep == "relative"
            taken = ["min_max"] if relative else ["percentiles", "min_max"]
            if part == "state":  # Of actions it is cut off at one standard deviation.
                taken.append("mean_std")
            if key.sin_cos:
                yield f"{part} {name} has sin_cos, which is off in N1.7's processor"
            elif key.target_rotation is not None:
                yield f"{part} {name} becomes {key.target_rotation}; N1.7 turns no representation"
            elif key.normalization not in taken:
                chosen = key.normalization or "none"
                yield f"{part} {name} has normalization {chosen}; N1.7 has {' or '.join(taken)}"
