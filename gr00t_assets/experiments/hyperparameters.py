"""What every trainer takes; each one extends ``Hyperparameters`` by its own."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from gr00t_assets.core.files import FrozenModel

Count = Annotated[int, Field(ge=1, le=10**9)]
"""Of steps, of samples of a batch and the like."""


class Hyperparameters(FrozenModel):
    """The hyperparameters of every trainer, with the names of ``scripts/gr00t_finetune.py``.

    Attributes:
        defaults_version: Raised by a trainer whenever the default of one of its hyperparameters
            changes. A hyperparameter that is added with a default leaves it as it is.
        trained_parts: Names of those that say which weights are trained.
        dropped_elsewhere: Names of those that may stand in the settings of a trainer that lacks
            them, where they have no effect.
        not_taken: Why hyperparameters of other trainers are not taken, by their names.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    defaults_version: ClassVar[int] = 1
    trained_parts: ClassVar[tuple[str, ...]] = ()
    dropped_elsewhere: ClassVar[frozenset[str]] = frozenset()
    not_taken: ClassVar[Mapping[str, str]] = {}

    batch_size: Count = Field(default=32, description="Samples per step and GPU")
    max_steps: Count = Field(default=10_000, description="Optimizer steps")
    num_gpus: int = Field(default=1, ge=1, le=1024, description="GPUs of one run")
    save_steps: Count = Field(default=1_000, description="Steps between two checkpoints")
    learning_rate: float = Field(default=1e-4, gt=0, description="Peak learning rate")
    seed: int = Field(
        default=42, ge=0, lt=2**63, description="Seed of data order, noise, dropout, augmentation"
    )
    logging_steps: Count = Field(default=10, description="Steps between two logged losses")
    gradient_accumulation_steps: Count = Field(
        default=1, description="Batches to one optimizer step"
    )
    save_total_limit: Count = Field(default=8, description="Checkpoints kept")

    @property
    def nodes(self) -> int:
        """Machines that one run takes, ``num_gpus`` GPUs of each."""
        return 1

    @property
    def samples_per_step(self) -> int:
        """Samples that one optimizer step has seen, over all GPUs."""
        return self.batch_size * self.gradient_accumulation_steps * self.num_gpus * self.nodes

    @property
    def weights_count_for_each_row(self) -> bool:
        """What a weight in a mixture is for: a row of the dataset, or the whole of it."""
        return True

    def changed(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON has it.

        Examples:
            >>> Hyperparameters(batch_size=8, seed=42).changed()
            {'batch_size': 8}
        """
        return self.model_dump(mode="json", exclude_defaults=True)
