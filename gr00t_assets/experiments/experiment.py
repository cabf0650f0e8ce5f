"""One experiment: what is trained, on what, how, and what one hopes to learn from it."""

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.pruning import Pruning

Trainer = Literal["native", "isaac-gr00t"]
ReportTo = Literal["wandb", "none"]


class Experiment(BaseModel):
    """One partition of ``checkpoint``; its key is ``name``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sweep: str = Field(description="Name of the sweep file that it stands in")
    dataset: str = Field(description="Name in data/datasets.yaml")
    trainer: Trainer = "native"
    base_model: str = Field(default="tiny", description="'tiny', a directory, or a Hub id")
    base_model_revision: str | None = Field(default=None, description="Commit of a Hub id")
    hyperparameters: Hyperparameters = Hyperparameters()
    hypothesis: str = Field(default="", description="What is expected, written before it runs")
    tags: tuple[str, ...] = ()
    report_to: ReportTo = Field(default="wandb", description="Where metrics go besides the store")
    priority: int = Field(default=0, description="Higher ones leave the queue first")
    vram_gb: float | None = Field(
        default=None, gt=0, description="GPU memory needed on each device, GB; None: not checked"
    )
    continue_from: str | None = Field(
        default=None, description="Experiment whose last checkpoint it starts from"
    )
    pruning: Pruning | None = Field(
        default=None, description="When it is given up as hopeless; None: never"
    )
    continued_steps: tuple[int, ...] = Field(
        default=(), description="max_steps of the runs that it goes on from, the first one first"
    )

    def config_hash(self, dataset_version: str, modality_hash: str) -> str:
        """First 12 hex digits of a SHA-256 over all that changes the trained weights.

        Name, sweep, hypothesis, tags, report_to, priority, vram_gb and pruning are left out:
        changing the words, what the queue is told, or when a run is given up, does not train again.
        """
        hyperparameters = self.hyperparameters.model_dump(mode="json")
        if self.hyperparameters.frame_source == "cache":
            del hyperparameters["frame_source"]
        content = {
            "trainer": self.trainer,
            "base_model": self.base_model,
            "base_model_revision": self.base_model_revision,
            "dataset_version": dataset_version,
            "modality_config": modality_hash,
            "hyperparameters": hyperparameters,
        }
        if self.continued_steps:
            content["continued_steps"] = list(self.continued_steps)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def continued(self) -> "Experiment | None":
        """The experiment that this one goes on from; equal in all that trains but the steps."""
        if self.continue_from is None:
            return None
        *before, steps = self.continued_steps
        settings = self.hyperparameters.model_copy(update={"max_steps": steps})
        changes = {
            "name": self.continue_from,
            "hyperparameters": settings,
            "continue_from": None,
            "continued_steps": tuple(before),
        }
        return self.model_copy(update=changes)
