"""Where the files of a base model are, here or on the Hub, and what its ``config.json`` says."""

import os
from pathlib import Path
from typing import NamedTuple, TypeAlias

from pydantic import ValidationError

from gr00t_assets.core.errors import BaseModelError, Gr00tAssetsError
from gr00t_assets.core.files import read_json
from gr00t_assets.core.yaml_files import validation_problems
from gr00t_assets.modality.generations import GenerationName
from gr00t_assets.trainers.n15 import architecture as n15
from gr00t_assets.trainers.n15.architecture import ModelConfig
from gr00t_assets.trainers.n17 import architecture as n17
from gr00t_assets.trainers.n17.processor_files import image_edge

AnyConfig: TypeAlias = ModelConfig | n17.N17Config

BUILT_IN = {"tiny": n15.TINY, "tiny-n1.7": n17.TINY}
"""Base models with random weights that train on a CPU within minutes, by name."""
BUILT_IN_NAMES = tuple(BUILT_IN)


class ModelLicense(NamedTuple):
    """A licence in the words of the Hub's model cards."""

    identifier: str  # One that the Hub knows, or ``other``, which has a name
    name: str | None = None
    link: str | None = None
    note: str = ""  # What a reader must know of it


RELEASED_MODEL = "nvidia/GR00T-N1.5-3B"
"""NVIDIA's base model of GR00T N1.5, which its fine-tuning script starts from by default."""

RELEASED_LICENSE = ModelLicense(
    "other",
    "nscl-v1",
    f"https://huggingface.co/{RELEASED_MODEL}",
    "The base model is under NVIDIA's licence NSCL V1, as its model card says; so are weights "
    "made from it. Read it before you pass them on.",
)

RELEASED_N17 = "nvidia/GR00T-N1.7-3B"

N17_LICENSE = ModelLicense(
    "other",
    "nvidia-open-model-license",
    f"https://huggingface.co/{RELEASED_N17}",
    "The base model is under NVIDIA's Open Model License; so are weights made from it. Read it "
    "before you pass them on.",
)


def model_path(base_model: str) -> Path:
    """The path that a base model's name is; ``~`` stays where there is no such user."""
    return Path(os.path.expanduser(base_model))  # noqa: PTH111  # pathlib's raises RuntimeError


def looks_like_path(base_model: str) -> bool:
    """Whether a name cannot be a Hub id, which is ``owner/name``.

    Examples:
        >>> [looks_like_path(name) for name in ("./m", "/m", "~/m", "a/b/c", "nvidia/N1.5")]
        [True, True, True, True, False]
    """
    return base_model.startswith((".", "/", "~")) or base_model.count("/") > 1


def locate(base_model: str, revision: str | None = None) -> Path:
    """The folder of a base model, downloaded where it is a Hub id.

    Raises:
        BaseModelError: There is no such folder, and no such model on the Hub.
    """
    path = model_path(base_model)
    try:
        if path.is_dir():
            return path
        if path.exists():
            raise BaseModelError(base_model, "this is a file; a model is a folder.")
    except OSError as error:
        raise BaseModelError(base_model, "there is no such folder.", [str(error)]) from error
    if looks_like_path(base_model):
        looked_for = f"looked for {path.absolute()}"
        raise BaseModelError(base_model, "there is no such folder.", [looked_for])
    if base_model.count("/") != 1:
        built_in = f"built in: {', '.join(BUILT_IN_NAMES)}"
        details = [built_in, "or a folder, or a Hub id such as owner/name"]
        raise BaseModelError(base_model, "there is no such base model.", details)
    return download(base_model, revision, ["*.safetensors", "*.json", "*.txt"])


def download(repository: str, revision: str | None, files: list[str]) -> Path:
    """Files of a model on the Hub, from the cache where they are there.

    Raises:
        BaseModelError: The Hub does not give them.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=files))
    except GatedRepoError as error:
        terms = f"accept its terms at https://huggingface.co/{repository}"
        token = "then set HF_TOKEN to a token of that account, or run: hf auth login"
        details = [terms, token, "or download it elsewhere and give the folder"]
        raise BaseModelError(repository, "this model is gated on the Hub.", details) from error
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        problem = "this is neither a folder here nor a model that the Hub gives."
        place = f"looked for {Path(repository).absolute()}"
        hub = f"Hub, revision {revision or 'default'}: {type(error).__name__}: {reason}"
        offline = "without a network, download it elsewhere and give the folder"
        raise BaseModelError(repository, problem, [place, hub, offline]) from error


def hub_commit(directory: Path) -> str | None:
    """Commit on the Hub of a folder in its cache; None for any other folder."""
    return directory.name if directory.parent.name == "snapshots" else None


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
        if raw.get("model_type") == "Gr00tN1d6":
            raise ValueError(
                "model_type is 'Gr00tN1d6', a GR00T N1.6, whose backbone no trainer here has; take "
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
