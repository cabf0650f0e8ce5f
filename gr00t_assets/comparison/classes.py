"""Comparability classes: runs whose losses may be set side by side."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property

from gr00t_assets.training.manifest import Manifest


@dataclass(frozen=True)
class ComparabilityClass:
    """All that must be equal before one loss can be called lower than another.

    Attributes:
        dataset_version: Content hash of the dataset, so equal data under two names is one class.
        modality_hash: Of the modality config: keys, transforms, statistics, action horizon.
        trainable_parts: Parts of the model with at least one trainable weight, sorted.
        frames_verified: Whether the images are known to be the right ones. Losses of a class
            where they are not say nothing of learning from images.
    """

    dataset_version: str
    modality_hash: str
    base_model: str
    base_model_revision: str | None
    trainer: str
    trainer_revision: str
    trainable_parts: tuple[str, ...]
    frames_verified: bool

    @classmethod
    def of(cls, manifest: Manifest) -> "ComparabilityClass":
        """The class of a run."""
        return cls(
            dataset_version=manifest.dataset_version,
            modality_hash=manifest.modality_hash,
            base_model=manifest.base_model,
            base_model_revision=manifest.base_model_revision,
            trainer=manifest.trainer,
            trainer_revision=manifest.trainer_revision,
            trainable_parts=tuple(
                sorted(part for part, count in manifest.trainable_parameters.items() if count > 0)
            ),
            frames_verified=manifest.frames_verified,
        )

    @cached_property
    def short_id(self) -> str:
        """First 6 hex digits of a SHA-256 over every field."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:6]

    def words(self) -> dict[str, str]:
        """Each field in words, by its name in words."""
        base = self.base_model
        if self.base_model_revision:
            base += f" at {self.base_model_revision[:12]}"
        return {
            "dataset version": self.dataset_version,
            "modality config": self.modality_hash,
            "base model": base,
            "trainer": f"{self.trainer} {self.trainer_revision}",
            "trainable parts": ", ".join(self.trainable_parts) or "none",
            "frames": "verified" if self.frames_verified else "not verified",
        }

    def differences(self, other: "ComparabilityClass") -> dict[str, tuple[str, str]]:
        """What keeps two classes apart: this one's words and the other's, by field."""
        mine, theirs = self.words(), other.words()
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}
