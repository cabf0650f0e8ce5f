"""What NVIDIA's transforms of N1.5 cannot do of a data config.

By their source at 5e3ef5e and a86e915, which are alike: ``gr00t/data/transform/`` has no relative
actions and no borders, and ``ConcatTransform`` takes an action key in the width that it has in the
data alone, a state key in that width, twice that, or as a ``rotation_6d``.
"""

from collections.abc import Iterator, Mapping, Sequence

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.modality.data_config import VectorKeyConfig
from gr00t_assets.modality.key_config import CameraTransforms
from gr00t_assets.modality.rotations import ROTATION_DIMS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.n15.data_config_limits import Limit, is_built_in, own_data_configs

_WAY_OUT = "train with native, which does"


def isaac_limits(experiment: Experiment) -> Iterator[Limit]:
    """What the script cannot do of an experiment's own data configs, as far as they say."""
    for config in own_data_configs(experiment):
        for problem in _problems(config.cameras, config.state, config.action):
            found = f"isaac-gr00t does not take data config {config.name}: {problem}"
            yield "dataset", found, _WAY_OUT


def refuse_data_config(spec: TrainingSpec) -> None:
    """Refuse what only the data could tell, such as the representation of a rotation.

    Raises:
        TrainingError: NVIDIA's transforms would stop at it; everything is listed.
    """
    config = spec.modality_config
    if is_built_in(config.data_config):
        return
    cameras = {camera.key: camera.transforms for camera in config.video}
    if problems := list(_problems(cameras, config.state, config.action)):
        name = f"isaac-gr00t does not take data config {config.data_config}."
        raise TrainingError(spec.experiment.name, name, [*problems, _WAY_OUT])


def horizon_problem(config: ModalityConfig, grows: bool, head: Mapping[str, int]) -> str | None:
    """Why the script at a commit cannot train chunks of the data config's shape, or None.

    Args:
        grows: Whether the script makes an action head for it, as October's does.
        head: ``action_horizon`` and ``action_dim`` of the base model, where known.
    """
    asked = {"action_horizon": len(config.action_indices), "action_dim": config.max_action_dim}
    other = [
        f"{name} {value}, the base model's {head[name]}"
        for name, value in asked.items()
        if name in head and head[name] != value
    ]
    return None if grows or not other else f"data config {config.data_config}: {', '.join(other)}"


def _problems(
    cameras: Mapping[str, CameraTransforms],
    state: Sequence[VectorKeyConfig | VectorKey],
    action: Sequence[VectorKeyConfig | VectorKey],
) -> Iterator[str]:
    for key, camera in cameras.items():
        if camera.region is not None:
            yield f"camera {key} has a region, and N1.5 crops around the centre"
        if camera.resize != "stretch":
            yield f"camera {key} has resize {camera.resize}, and N1.5 stretches images"
    for key in (*state, *action):
        if key.target_rotation == "matrix" and key.normalization:
            yield f"{key.key} becomes a matrix, which N1.5 does not normalise"
    for key in state:
        if _width(key) not in (None, 6):
            yield f"state {key.key} becomes {key.target_rotation}; only rotation_6d has room there"
    for key in action:
        if getattr(key, "rep", "absolute") == "relative":
            yield f"action {key.key} is relative, which N1.5 does not know"
        elif key.sin_cos:
            yield f"action {key.key} has sin_cos, which N1.5 cannot take back"
        elif _width(key) is not None:
            yield f"action {key.key} becomes {key.target_rotation}, of another width"


def _width(key: VectorKeyConfig | VectorKey) -> int | None:
    """Numbers of a key's rotation for the model, where they are others than the data has."""
    source, target = key.rotation_type, key.target_rotation
    if source is None or target is None or ROTATION_DIMS[source] == ROTATION_DIMS[target]:
        return None
    return ROTATION_DIMS[target]
