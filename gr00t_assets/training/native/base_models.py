"""Where a base model comes from: the built-in ``tiny``, a folder, or the Hub."""

from pathlib import Path
from typing import NamedTuple

import torch

from gr00t_assets.errors import BaseModelError
from gr00t_assets.files import write_json
from gr00t_assets.training.native.config import ModelConfig
from gr00t_assets.training.native.config_files import load_config
from gr00t_assets.training.native.model import Gr00tN15
from gr00t_assets.training.native.prompts import (
    QWEN,
    ByteEncoding,
    Tokenizer,
    checked,
    has_tokenizer,
    load_tokenizer,
)
from gr00t_assets.training.native.sizes import TINY
from gr00t_assets.training.native.weights import load_weights, save_weights

BUILT_IN = {"tiny": TINY}
HUB_FILES = ["*.safetensors", "*.json", "*.txt"]


class BaseModel(NamedTuple):
    """A model that is ready to be trained or asked for actions.

    Attributes:
        model: The model, in training mode, everything trainable.
        tokenizer: Tokenizer of its prompts.
        config: Its configuration.
        revision: Commit on the Hub; ``None`` for a folder and for what is built in.
    """

    model: Gr00tN15
    tokenizer: Tokenizer
    config: ModelConfig
    revision: str | None


def load_base_model(
    base_model: str,
    revision: str | None = None,
    *,
    seed: int = 42,
    action_horizon: int | None = None,
    attn: str = "sdpa",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> BaseModel:
    """Load a base model.

    Args:
        base_model: ``tiny``, a folder in Isaac-GR00T's layout or ours, or a Hub id.
        revision: Commit, tag or branch on the Hub; the default branch where missing.
        seed: Of ``tiny``'s random weights; torch's own generator is left as it was.
        action_horizon: Actions of one prediction where other than the model's.
        attn: Attention of the towers, ``sdpa`` or ``flash_attention_2``.
        dtype: Of the towers' weights. Keep float32 for towers that are trained; bfloat16 halves
            the memory of frozen ones. The action head is always float32.
        device: Where the weights go. ``tiny``'s do not depend on it.

    Raises:
        BaseModelError: There is no such model, or it is not an N1.5.

    Example:
        >>> load_base_model("tiny").model.trainable_parameters()["diffusion_model"]
        544128
    """
    if base_model in BUILT_IN:
        config = _with_horizon(BUILT_IN[base_model], action_horizon, base_model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Gr00tN15(config, attn)
        model.backbone.to(dtype)
        model.backbone.rebuild_buffers()
        return BaseModel(model.to(device), Tokenizer(ByteEncoding()), config, None)
    directory = locate(base_model, revision)
    if not (directory / "config.json").is_file():
        found = ", ".join(sorted(path.name for path in directory.iterdir())[:8]) or "nothing"
        raise BaseModelError(
            base_model,
            "its config.json is missing.",
            [f"looked in {directory}", f"found {found}", "expected config.json, model.safetensors"],
        )
    config = _with_horizon(load_config(directory / "config.json"), action_horizon, base_model)
    tokenizer = _tokenizer(directory, config)
    with torch.device("meta"):
        model = Gr00tN15(config, attn)
    model.backbone.to(dtype)
    model.to_empty(device=device)
    model.backbone.rebuild_buffers()
    load_weights(model, directory)
    commit = directory.name if directory.parent.name == "snapshots" else None
    return BaseModel(model, tokenizer, config, commit)


def save_model(
    model: Gr00tN15, config: ModelConfig, directory: Path, tokenizer: Tokenizer | None = None
) -> None:
    """Write ``model.safetensors`` with NVIDIA's names, ``tokenizer.json`` if any, ``config.json``.

    Raises:
        StoreError: The disk is full.
    """
    directory.mkdir(parents=True, exist_ok=True)
    save_weights(model, directory)
    if tokenizer is not None:
        tokenizer.encoding.save(directory)
    write_json(directory / "config.json", config.to_json())


def looks_like_path(base_model: str) -> bool:
    """Whether a name cannot be a Hub id, which is ``owner/name``.

    Example:
        >>> [looks_like_path(name) for name in ("./m", "/m", "~/m", "a/b/c", "nvidia/N1.5")]
        [True, True, True, True, False]
    """
    return base_model.startswith((".", "/", "~")) or base_model.count("/") > 1


def locate(base_model: str, revision: str | None = None) -> Path:
    """The folder of a base model, downloaded where it is a Hub id.

    Raises:
        BaseModelError: There is no such folder, and no such model on the Hub.
    """
    path = Path(base_model).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise BaseModelError(base_model, "this is a file; a model is a folder.")
    if looks_like_path(base_model):
        raise BaseModelError(
            base_model, "there is no such folder.", [f"looked for {path.absolute()}"]
        )
    if base_model.count("/") != 1:
        raise BaseModelError(
            base_model,
            "there is no such base model.",
            [f"built in: {', '.join(BUILT_IN)}", "or a folder, or a Hub id such as owner/name"],
        )
    return _download(base_model, revision, HUB_FILES)


def _download(repository: str, revision: str | None, files: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=files))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise BaseModelError(
            repository,
            "this is neither a folder here nor a model that the Hub gives.",
            [
                f"looked for {Path(repository).absolute()}",
                f"Hub, revision {revision or 'default'}: {type(error).__name__}: {reason}",
                "without a network, download it elsewhere and give the folder",
            ],
        ) from error


def _tokenizer(directory: Path, config: ModelConfig) -> Tokenizer:
    image_token = config.towers.image_token_index
    if config.towers.tokenizer == "bytes":
        return checked(Tokenizer(ByteEncoding()), str(directory), image_token)
    if not has_tokenizer(directory):
        directory = _download(QWEN, None, ["tokenizer.json", "tokenizer_config.json"])
    return load_tokenizer(directory, image_token)


def _with_horizon(config: ModelConfig, action_horizon: int | None, subject: str) -> ModelConfig:
    if action_horizon is None or action_horizon == config.action_head.action_horizon:
        return config
    try:
        return config.with_action_horizon(action_horizon)
    except ValueError as error:
        limit = config.action_head.max_seq_len
        raise BaseModelError(
            subject,
            f"it cannot predict {action_horizon} actions at once.",
            [f"it can predict 1 to {limit}"],
        ) from error
