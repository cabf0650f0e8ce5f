"""``config.json`` of a model of any generation of GR00T that is known here."""

from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from gr00t_assets.core.errors import BaseModelError, Gr00tAssetsError
from gr00t_assets.core.files import read_json
from gr00t_assets.core.yaml_files import validation_problems
from gr00t_assets.modality.generations import GenerationName
from gr00t_assets.trainers.base_model_files import RELEASED_MODEL, RELEASED_N17, model_path
from gr00t_assets.trainers.n15 import architecture as n15
from gr00t_assets.trainers.n15.architecture import ModelConfig
from gr00t_assets.trainers.n17 import architecture as n17
from gr00t_assets.trainers.n17.processor_files import image_edge

AnyConfig: TypeAlias = ModelConfig | n17.N17Config

BUILT_IN = {"tiny": n15.TINY, "tiny-n1.7": n17.TINY}
"""Base models with random weights that train on a CPU within minutes, by name."""

_N16 = "Gr00tN1d6"


def load_config(path: Path) -> AnyConfig:
    """Read a ``config.json``; of an N1.7 NVIDIA's processor files beside it say the size of images.

    Raises:
        BaseModelError: The file is not JSON, or describes neither an N1.5 nor an N1.7.
        CheckpointError: The processor's files are broken.
    """
    model: type[AnyConfig] = ModelConfig
    try:
        raw = read_json(path)
        if not isinstance(raw, dict):
            raise ValueError(f"a JSON object is expected, this is a {type(raw).__name__}")
        model = n17.N17Config if raw.get("model_type") == n17.MODEL_TYPE else ModelConfig
        if raw.get("model_type") == _N16:
            raise ValueError(
                f"model_type is {_N16!r}, a GR00T N1.6, whose backbone no trainer here has; take "
                f"{RELEASED_N17} or {RELEASED_MODEL}, or train it with Isaac-GR00T itself"
            )
        if model is ModelConfig:
            return n15.parse_config(raw)
        config, edge = n17.parse_config(raw), image_edge(path.parent)
        return config.model_copy(update={"shortest_image_edge": edge}) if edge else config
    except ValidationError as error:
        problems = validation_problems(error, model)
        lines = [f"{problem.subject or 'config'}: {problem.text}" for problem in problems]
    except (OSError, ValueError) as error:
        lines = [str(error)]
    generation = model.generation.upper()
    problem = f"this is not the configuration of a GR00T {generation} model."
    raise BaseModelError(str(path), problem, lines)


def known_generation(base_model: str) -> GenerationName | None:
    """The generation of a base model, where it can be told without the Hub."""
    names: dict[str, GenerationName] = {RELEASED_MODEL: "n1.5", RELEASED_N17: "n1.7"}
    names |= {name: config.generation for name, config in BUILT_IN.items()}
    if base_model in names:
        return names[base_model]
    file = model_path(base_model) / "config.json"
    try:
        return load_config(file).generation if file.is_file() else None
    except (Gr00tAssetsError, OSError):  # Told where it is loaded.
        return None
