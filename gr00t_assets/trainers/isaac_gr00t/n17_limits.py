"""What ``launch_finetune.py`` of N1.7 cannot do of an experiment, by its source at 65cc4a1.

What its processor cannot do of a data config is told by ``n17.processor_configs``. It pads images
to a square, and always crops and jitters them.
"""

from collections.abc import Iterator

from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.data_config_limits import Limit
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.n17.processor_configs import inexpressible

NATIVE = "train with native, which does"


def n17_limits(experiment: Experiment) -> Iterator[Limit]:
    """What the settings of an experiment tell."""
    settings = IsaacHyperparameters.of(experiment)
    if settings.frame_source == "video":
        found = "N1.7's loader decodes whole shards of videos into memory, and by frame number"
        yield "frame_source", found, "leave it out: frames come from the frame cache"
    if settings.lora_rank:
        yield "lora_rank", "launch_finetune.py has no LoRA", f"leave it out, or {NATIVE}"
    if len(experiment.datasets) > 1 and not settings.balance_trajectory_weights:
        found = "launch_finetune.py draws every row alike, not every episode"
        yield "balance_trajectory_weights", found, f"leave it out, or {NATIVE}"


def n17_problems(spec: TrainingSpec) -> Iterator[list[str]]:
    """Sentences, and what they apply to with what to do, that only the data tells."""
    config, configs = spec.modality_config, [dataset.config for dataset in spec.datasets]
    wrong = inexpressible(configs)
    wrong += [
        f"action.{key.key} has mean_std, which N1.7 cuts off at one standard deviation"
        for key in config.action
        if key.normalization == "mean_std"
    ]
    if wrong:
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
