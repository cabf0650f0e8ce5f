"""The files of NVIDIA's N1.7 processor beside a model, read and written.

``processor_config.json`` says what is done to the data, ``statistics.json`` what it is normalised
by, ``embodiment_id.json`` which row of the per-embodiment weights a tag has. Isaac-GR00T's and
LeRobot's policies open a model by them. Layout: ``Gr00tN1d7Processor.save_pretrained`` in
Isaac-GR00T at 65cc4a1, which keeps them in a folder ``processor`` of a finished training.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, ValidationError

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import FrozenModel, read_json, write_json
from gr00t_assets.core.yaml_files import validation_problems
from gr00t_assets.modality.generations import GENERATIONS

SETTINGS, STATISTICS, EMBODIMENTS = "processor_config.json", "statistics.json", "embodiment_id.json"

FOLDER = "processor"
"""Where Isaac-GR00T keeps them beside the final weights of a training."""

NEW_EMBODIMENT = "new_embodiment"


class _Nvidias(FrozenModel):
    """A record of NVIDIA's, whose further fields have no bearing here."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class ActionSettings(_Nvidias):
    """``ActionConfig`` of Isaac-GR00T, by the names of its enumerations."""

    rep: Literal["ABSOLUTE", "RELATIVE", "DELTA"] = "ABSOLUTE"
    type: Literal["NON_EEF", "EEF"] = "NON_EEF"
    format: Literal["DEFAULT", "XYZ_ROT6D", "XYZ_ROTVEC"] = "DEFAULT"
    state_key: str | None = None


class ModalitySettings(_Nvidias):
    """``ModalityConfig`` of Isaac-GR00T: the keys of one modality and the rows that are taken."""

    delta_indices: tuple[int, ...]
    modality_keys: tuple[str, ...]
    sin_cos_embedding_keys: tuple[str, ...] | None = None
    mean_std_embedding_keys: tuple[str, ...] | None = None
    action_configs: tuple[ActionSettings, ...] | None = None


class ProcessorSettings(_Nvidias):
    """``processor_kwargs``, in NVIDIA's order and with the defaults of NVIDIA's class."""

    modality_configs: dict[str, dict[str, ModalitySettings]]
    image_crop_size: tuple[int, int] | None = None
    image_target_size: tuple[int, int] | None = None
    use_albumentations: bool = False
    random_rotation_angle: int | None = None
    color_jitter_params: dict[str, float] | None = None
    shortest_image_edge: int | None = 256
    crop_fraction: float | None = 0.95
    letter_box_transform: bool = False
    model_name: str = "nvidia/Cosmos-Reason2-2B"
    model_type: str = "qwen"
    formalize_language: bool = True
    max_state_dim: int = 29
    max_action_dim: int = 29
    max_action_horizon: int = 50
    use_percentiles: bool = False
    use_mean_std: bool = False
    clip_outliers: bool = True
    apply_sincos_state_encoding: bool = False
    use_relative_action: bool = False
    exclude_state: bool = False
    state_dropout_prob: float = 0.0

    @property
    def edge(self) -> int | None:
        """Pixels of an image's shorter edge."""
        target = self.image_target_size
        return self.shortest_image_edge or (target[0] if target else None)

    @property
    def crop_scale(self) -> float | None:
        """Share of an image's height and width that is kept."""
        crop, target = self.image_crop_size, self.image_target_size
        return self.crop_fraction or (crop[0] / target[0] if crop and target else None)


@dataclass(frozen=True)
class ProcessorFiles:
    """What the three files hold: settings, statistics, rows of the per-embodiment weights by tag.

    Statistics are by tag, then ``state``, ``action`` or ``relative_action``, key and statistic.
    """

    settings: ProcessorSettings
    statistics: dict[str, dict[str, dict[str, dict[str, Any]]]]
    embodiment_ids: dict[str, int]

    @classmethod
    def read(cls, model: Path) -> Self:
        """Those beside a model, or in its folder ``processor``.

        Raises:
            CheckpointError: A file is missing or is not NVIDIA's.
        """
        folder = processor_folder(model)
        if folder is None:
            raise CheckpointError(str(model), f"there is no {SETTINGS} beside these weights.")
        file = folder / SETTINGS
        try:
            settings = ProcessorSettings.model_validate(read_json(file)["processor_kwargs"])
            file = folder / STATISTICS
            statistics = _by_tag(read_json(file))
            file = folder / EMBODIMENTS
            ids = _by_tag(read_json(file)) if file.is_file() else {}
            own = {tag: int(number) for tag, number in ids.items()}
        except ValidationError as error:
            problems = validation_problems(error, ProcessorSettings)
            lines = [f"{problem.subject}: {problem.text}" for problem in problems]
            raise CheckpointError(str(file), _NOT_NVIDIAS, lines) from error
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise CheckpointError(str(file), _NOT_NVIDIAS, [repr(error)]) from error
        return cls(settings, statistics, {**GENERATIONS["n1.7"].embodiment_ids, **own})

    def write(self, folder: Path) -> None:
        """Write the three files into a folder, as NVIDIA's processor does."""
        kwargs = self.settings.model_dump(mode="json")
        content = {"processor_class": "Gr00tN1d7Processor", "processor_kwargs": kwargs}
        write_json(folder / SETTINGS, content)
        write_json(folder / STATISTICS, self.statistics)
        write_json(folder / EMBODIMENTS, self.embodiment_ids)

    @property
    def tags(self) -> tuple[str, ...]:
        """Embodiment tags that it can act for, the one that was trained last first.

        Fine-tuning adds its tag behind those of the base model, but for a tag of the base model's.
        """
        known = [tag for tag in self.settings.modality_configs if tag in self.statistics]
        return tuple(sorted(known, key=NEW_EMBODIMENT.__eq__)[::-1])


_NOT_NVIDIAS = "this is not a file of Isaac-GR00T's N1.7 processor."


def processor_folder(model: Path) -> Path | None:
    """Where the files of a model are: its folder, or ``processor`` in it; None without any."""
    return next((at for at in (model, model / FOLDER) if (at / SETTINGS).is_file()), None)


def image_edge(model: Path) -> int | None:
    """Pixels of the shorter edge of a model's images by the files beside it; None without any."""
    return ProcessorFiles.read(model).settings.edge if processor_folder(model) else None


def _by_tag(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"a JSON object is expected, this is a {type(content).__name__}")
    return content
