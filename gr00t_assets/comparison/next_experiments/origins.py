"""Which experiment a run was: what a sweep file needs beside its hyperparameters."""

from collections.abc import Mapping
from dataclasses import dataclass

from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.experiments.experiment import Experiment, Trainer
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.trainer_limits import BUILT_IN_MODEL, RELEASED_MODEL


@dataclass(frozen=True)
class Origin:
    """What a run was trained on, with and from, in the words of a sweep file."""

    dataset: str
    trainer: Trainer
    base_model: str
    base_model_revision: str | None = None

    @classmethod
    def of(cls, run: Observation, experiments: Mapping[str, Experiment]) -> "Origin":
        """From the experiment of the run's name and hash; else from what its table says.

        A table that names no trainer is of the fine-tuning script's runs, whose names its columns
        have, and a base model that it does not name is the released one.

        Args:
            run: The run.
            experiments: Experiments by run id, and by name for those whose run is current.
        """
        known = experiments.get(run.run_id) or experiments.get(run.name)
        if known is not None and run.source == "store":
            return cls(known.dataset, known.trainer, known.base_model, known.base_model_revision)
        native = run.data.get("trainer", "").startswith("native")
        trainer: Trainer = "native" if native else "isaac-gr00t"
        base, _, revision = run.data.get("base model", "").partition(" at ")
        released = BUILT_IN_MODEL if native else RELEASED_MODEL
        return cls(run.dataset, trainer, base or released, revision or None)

    def words(self) -> dict[str, str]:
        """The fields of a sweep file's defaults, or of an entry."""
        fields = {
            "dataset": self.dataset,
            "trainer": self.trainer,
            "base_model": self.base_model,
            "base_model_revision": self.base_model_revision,
        }
        return {name: value for name, value in fields.items() if value is not None}


def asked(settings: Mapping[str, object]) -> dict[str, object]:
    """Hyperparameters that differ from the script's defaults, in the order of the script."""
    defaults = Hyperparameters().model_dump()
    return {
        name: settings[name]
        for name in defaults
        if name in settings and settings[name] is not None and settings[name] != defaults[name]
    }
