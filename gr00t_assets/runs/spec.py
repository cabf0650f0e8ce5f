"""The training spec: one JSON file that says all a trainer needs to know.

Format 1, of version 0.1, is read as well. Its config hash covered every hyperparameter, so that the
run directories of that time have other names than the config hash that their specs have now.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, computed_field, model_validator

from gr00t_assets.core.errors import Gr00tAssetsError, SpecError
from gr00t_assets.core.files import FrozenModel, json_hash, read_json, write_json
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment, settings_of_trainer
from gr00t_assets.experiments.registry import hyperparameters_model
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.runs.training_data import RunDataset, TrainingData, load_training_data

SPEC = "spec.json"

_COMPUTED = ("defaults_version", "checksum")
_TRAINED_WITH = (
    "trainer", "base_model", "base_model_revision", "hyperparameters", "continued_steps",
)  # fmt: skip


class TrainingSpec(FrozenModel):
    """What was asked, complete. The store's root is its only absolute path; no secret is in it."""

    format: Literal[2] = Field(default=2, description="Version of this file's layout")
    store: str = Field(description="Absolute path of the store's root")
    experiment: Experiment
    modality_config: ModalityConfig = Field(description="Of its dataset, or the first of them")
    other_modality_configs: tuple[ModalityConfig, ...] = Field(
        default=(),
        exclude_if=lambda configs: not configs,
        description="Of the other datasets of a mixture, in its order",
    )
    config_hash: str = Field(
        description="Name of the run directory: the config hash when the run was first asked for"
    )

    @computed_field(description="Of its trainer's hyperparameters when the run was asked for")
    @property
    def defaults_version(self) -> int:
        """Version of the trainer's defaults."""
        return self.experiment.hyperparameters.defaults_version

    @computed_field(description="Of all that changes the trained weights, against edits by hand")
    @property
    def checksum(self) -> str | None:
        """First 16 hex digits of a SHA-256 over what was asked."""
        return _checksum(self.model_dump(mode="json", exclude={"defaults_version", "checksum"}))

    @model_validator(mode="before")
    @classmethod
    def _without_computed(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: item for name, item in value.items() if name not in _COMPUTED}
        return value

    @property
    def current_hash(self) -> str:
        """The config hash that the run has now, whatever its directory is called."""
        return self.data.config_hash(self.experiment)

    @property
    def run_directory(self) -> Path:
        """Where the run leaves everything."""
        return Store(Path(self.store)).run_directory(self.experiment.name, self.config_hash)

    @property
    def data(self) -> TrainingData:
        """Everything that is trained on."""
        configs = (self.modality_config, *self.other_modality_configs)
        return TrainingData.of(self.experiment, configs, Store(Path(self.store)))

    @property
    def datasets(self) -> tuple[RunDataset, ...]:
        """The datasets that are trained on; of a single one it alone."""
        return self.data.datasets

    @property
    def embodiments(self) -> list[int]:
        """Ids of the embodiments that the run trains on, in ascending order."""
        return sorted({dataset.config.embodiment_id for dataset in self.datasets})


def make_spec(experiment: Experiment, store: Store) -> TrainingSpec:
    """The spec of an experiment with the data in the store; raises as ``load_training_data``."""
    data = load_training_data(experiment, store)
    first, *others = (dataset.config for dataset in data.datasets)
    return TrainingSpec(
        store=str(store.root),
        experiment=experiment,
        modality_config=first,
        other_modality_configs=tuple(others),
        config_hash=run_name(experiment, data, store),
    )


def current_config_hash(experiment: Experiment, store: Store) -> str:
    """The name of an experiment's run directory, by the present data; raises as ``make_spec``."""
    return run_name(experiment, load_training_data(experiment, store), store)


def run_name(experiment: Experiment, data: TrainingData, store: Store) -> str:
    """The name of an experiment's run directory.

    That of the run with the same config hash where there is one, which an older version may have
    called otherwise; else the config hash.
    """
    config_hash = data.config_hash(experiment)
    if not store.run_directory(experiment.name, config_hash).exists():
        for spec_file in sorted((store.root / "runs" / experiment.name).glob(f"[!.]*/{SPEC}")):
            if hash_of_spec(spec_file) == config_hash:
                return spec_file.parent.name
    return config_hash


def hash_of_spec(path: Path) -> str | None:
    """The config hash that a spec file has now; ``None`` where it cannot be read."""
    try:
        status = path.stat()
        return _hash_of_version(path, status.st_mtime_ns, status.st_size)
    except (Gr00tAssetsError, OSError):
        return None


@lru_cache(maxsize=65_536)
def _hash_of_version(path: Path, modified: int, size: int) -> str:
    raw = _read_json(path)
    experiment = raw.get("experiment")
    if raw.get("format") == 2 and isinstance(experiment, dict):
        model = hyperparameters_model(str(experiment.get("trainer")))
        if raw.get("defaults_version") == model.defaults_version:
            return str(raw.get("config_hash"))
    return load_spec(path).current_hash


def write_spec(spec: TrainingSpec) -> Path:
    """Write a spec into its run directory in one step; the file's path."""
    path = spec.run_directory / SPEC
    write_json(path, spec.model_dump(mode="json"))
    return path


def load_spec(path: Path) -> TrainingSpec:
    """Read a spec from a file.

    Raises:
        SpecError: There is no such file, it is no spec, it was edited, or its trainer is not here.
    """
    raw = read_spec_file(path)
    if raw.get("format") == 1:
        raw = _from_format_1(raw, path)
    try:
        return TrainingSpec.model_validate(raw)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise SpecError(str(path), "this is not a training spec.", lines) from error


def read_spec_file(path: Path) -> dict[str, Any]:
    """The content of a spec file that was not edited, whether its trainer is here or not.

    Raises:
        SpecError: There is no such file, it is no JSON object, or it was edited or damaged.
    """
    raw = _read_json(path)
    if raw.get("format") == 1:
        _refuse_edited(path, raw.get("config_hash"), _hash_of_format_1(raw))
    else:
        _refuse_edited(path, raw.get("checksum"), _checksum(raw))
    return raw


def spec_settings(path: Path) -> dict[str, Any]:
    """The hyperparameters as a spec file has them, by name, without a look at its checksum.

    ``SpecError``: there is no such file, or it is no spec.
    """
    try:
        return dict(_read_json(path)["experiment"]["hyperparameters"])
    except (KeyError, TypeError, ValueError) as error:
        problem = "this is not a training spec."
        raise SpecError(str(path), problem, ["it has no hyperparameters"]) from error


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise SpecError(str(path), "there is no such spec file.")
    try:
        raw = read_json(path)
    except ValueError as error:
        raise SpecError(str(path), "this is not JSON.", [str(error)]) from error
    if not isinstance(raw, dict):
        raise SpecError(str(path), "this is not a training spec.", ["expected an object"])
    return raw


def _checksum(raw: dict[str, Any]) -> str | None:
    """Over what changes the trained weights, as the file has it; None where it is no spec."""
    try:
        experiment, modality = raw["experiment"], raw["modality_config"]
        content = {
            "config_hash": raw["config_hash"],
            **{name: experiment.get(name) for name in _TRAINED_WITH},
            "modality_config": _without(modality, "warnings", "frames"),
        }
        if others := raw.get("other_modality_configs"):
            content["dataset"] = experiment["dataset"]
            content["other_modality_configs"] = [
                _without(other, "warnings", "frames") for other in others
            ]
    except (KeyError, TypeError, AttributeError):
        return None
    return json_hash(content, 16)


def _hash_of_format_1(raw: dict[str, Any]) -> str | None:
    """The config hash as version 0.1 computed it; None where it is no spec."""
    try:
        experiment, modality = dict(raw["experiment"]), raw["modality_config"]
        data = _without(modality, "warnings", "dataset", "frames")
        empty = [name for name in ("held_out_episodes", "frame_size") if not data.get(name)]
        settings = dict(experiment["hyperparameters"])
        if settings.get("frame_source") == "cache":
            del settings["frame_source"]
        content = {
            **{name: experiment[name] for name in _TRAINED_WITH[:3]},
            "dataset_version": modality["dataset_version"],
            "modality_config": json_hash(_without(data, *empty), 16),
            "hyperparameters": settings,
        }
        if experiment.get("continued_steps"):
            content["continued_steps"] = experiment["continued_steps"]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return json_hash(content, 12)


def _from_format_1(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    """The content of a spec of version 0.1 in today's form; its file stays as it is."""
    experiment = raw.get("experiment")
    if not isinstance(experiment, dict) or not isinstance(experiment.get("hyperparameters"), dict):
        raise SpecError(str(path), "this is not a training spec.", ["it has no experiment"])
    trainer = str(experiment.get("trainer"))
    leave = (
        f"{path.parent} stays as it is; to compare or to continue it use gr00t-assets 0.1, or "
        "materialise its experiment anew"
    )
    try:
        taken, refused = settings_of_trainer(trainer, experiment["hyperparameters"])
    except Gr00tAssetsError as error:
        problem = f"its trainer cannot be asked: {error.problem}"
        raise SpecError(str(path), problem, [leave, *error.details]) from error
    if refused:
        values = ", ".join(f"{name} {experiment['hyperparameters'][name]}" for name in refused)
        problem = f"the trainer {trainer} does not take {values} any more."
        raise SpecError(str(path), problem, [leave])
    return {**raw, "format": 2, "experiment": {**experiment, "hyperparameters": taken}}


def _refuse_edited(path: Path, stated: object, expected: str | None) -> None:
    """Refuse a spec whose content gives another hash; where it gives none pydantic judges."""
    if expected is None or stated == expected:
        return
    details = [
        f"the spec says {stated}, its content gives {expected}",
        "a spec is not edited by hand: change the sweep file and materialise again",
    ]
    raise SpecError(str(path), "the config hash does not match the content.", details)


def _without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}
