"""The comparability class of a run of the store."""

from gr00t_assets.comparison.contrasts.class_words import DATASET, VERSION, class_words
from gr00t_assets.comparison.contrasts.factors import trainable_parts
from gr00t_assets.comparison.contrasts.observation import Frames
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.manifest import Manifest


def data_words(manifest: Manifest) -> dict[str, str]:
    """What a run was trained on and with, by name, in words."""
    base = manifest.base_model
    if manifest.base_model_revision:
        base += f" at {manifest.base_model_revision[:12]}"
    return {
        DATASET: manifest.dataset,
        VERSION: manifest.dataset_version,
        "modality config": manifest.modality_hash,
        "base model": base,
        "trainer": f"{manifest.trainer} {manifest.trainer_revision}",
    }


def frames_of(manifest: Manifest | None) -> Frames:
    """Whether the images that the run trained on are known to be the right ones."""
    return "verified" if manifest and manifest.frames_verified else "not verified"


def manifest_class(manifest: Manifest, settings: Hyperparameters) -> dict[str, str]:
    """The words of the class that a run belongs to."""
    parts = trainable_parts(settings.model_dump())
    return class_words(data_words(manifest), parts, frames_of(manifest))
