"""The training spec: one JSON file that says all a trainer needs to know."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gr00t_assets.core.errors import SpecError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import ModalityConfig, load_modality_config


class TrainingSpec(BaseModel):
    """What was asked, complete. The store's root is its only absolute path, and no secret is in it.

    Example:
        ``python -m gr00t_assets.trainers.native data/store/runs/NAME/HASH/spec.json``
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    store: str = Field(description="Absolute path of the store's root")
    experiment: Experiment
    modality_config: ModalityConfig
    config_hash: str

    @property
    def run_directory(self) -> Path:
        """Where the run leaves everything."""
        return Store(Path(self.store)).run_directory(self.experiment.name, self.config_hash)

    @property
    def dataset_directory(self) -> Path:
        """The dataset version that is trained on."""
        modality = self.modality_config
        return Store(Path(self.store)).dataset_directory(modality.dataset, modality.dataset_version)

    @property
    def frame_cache(self) -> Path:
        """The decoded frames of that version."""
        modality = self.modality_config
        return Store(Path(self.store)).frame_cache(modality.dataset, modality.dataset_version)

    @property
    def frame_truth(self) -> Path:
        """The check of those frames."""
        modality = self.modality_config
        return Store(Path(self.store)).frame_truth(modality.dataset, modality.dataset_version)


def current_config_hash(experiment: Experiment, store: Store) -> str:
    """The config hash that ``experiment`` has with the data as it is now.

    Raises:
        DatasetError: Its dataset has no validated modality config yet.
    """
    modality = load_modality_config(experiment.dataset, store)
    return experiment.config_hash(modality.dataset_version, modality.content_hash())


def make_spec(experiment: Experiment, store: Store) -> TrainingSpec:
    """Put together the spec of an experiment from the materialised data in the store.

    Raises:
        DatasetError: Its dataset has no validated modality config yet.
    """
    modality = load_modality_config(experiment.dataset, store)
    return TrainingSpec(
        store=str(store.root),
        experiment=experiment,
        modality_config=modality,
        config_hash=experiment.config_hash(modality.dataset_version, modality.content_hash()),
    )


def load_spec(path: Path) -> TrainingSpec:
    """Read a spec from a file.

    Raises:
        SpecError: There is no such file, it is no spec, or its hash does not match its content.
    """
    if not path.is_file():
        raise SpecError(str(path), "there is no such spec file.")
    try:
        spec = TrainingSpec.model_validate(json.loads(path.read_text()))
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise SpecError(str(path), "this is not a training spec.", lines) from error
    except ValueError as error:
        raise SpecError(str(path), "this is not JSON.", [str(error)]) from error
    modality = spec.modality_config
    expected = spec.experiment.config_hash(modality.dataset_version, modality.content_hash())
    if spec.config_hash != expected:
        raise SpecError(
            str(path),
            "the config hash does not match the content.",
            [
                f"the spec says {spec.config_hash}, its content gives {expected}",
                "a spec is not edited by hand: change the sweep file and materialise again",
            ],
        )
    return spec
