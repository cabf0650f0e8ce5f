"""Findings about the accounts that training uses, and about the base model's weights.

Keys are looked for and never kept or shown; nothing is downloaded.
"""

import json
import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

from gr00t_assets.core.finding import Collector
from gr00t_assets.trainers.base_model_files import looks_like_path

_WANDB_HOST = "https://api.wandb.ai"
_HUB_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def check_accounts(collector: Collector) -> None:
    """Look whether the keys are there; their values are not looked at."""
    key, off = _wandb_key(), _wandb_is_off()
    if key or off:
        collector.ok("wandb-key", "accounts", key or f"not needed: WANDB_MODE is {off}")
    else:
        collector.warn(
            "wandb-key",
            "accounts",
            "no key of Weights & Biases: runs are recorded offline",
            "WANDB_API_KEY, or a key in ~/.netrc",
            "wandb login, or set report_to: none",
        )
    token = _hub_token()
    if token:
        collector.ok("hub-token", "accounts", token)
    else:
        collector.warn(
            "hub-token",
            "accounts",
            "no token of the Hugging Face Hub: private and gated models cannot be had",
            "HF_TOKEN, or the file that hf auth login writes",
            "hf auth login",
        )


def check_base_model(collector: Collector, base_model: str) -> None:
    """Look whether a base model is here; nothing is downloaded."""
    folder = Path(base_model).expanduser()
    if folder.is_dir():
        collector.ok("base-model", "accounts", f"{base_model} is a folder here")
    elif looks_like_path(base_model):
        collector.error(
            "base-model",
            "accounts",
            f"no folder {base_model}",
            "a model's folder",
            "check the path",
        )
    elif _in_hub_cache(base_model):
        collector.ok("base-model", "accounts", f"{base_model} is in the Hub's cache")
    else:
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        add = collector.error if offline else collector.warn
        add(
            "base-model",
            "accounts",
            f"{base_model} is not in the Hub's cache"
            + (", and HF_HUB_OFFLINE keeps it from being downloaded" if offline else ""),
            "the weights on this machine; the first training downloads them",
            f"hf download {base_model}",
        )


def _in_hub_cache(repository: str) -> bool:
    """Whether the cache has the config and every file of the weights."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(repository, "config.json")
        whole = try_to_load_from_cache(repository, "model.safetensors")
        index = try_to_load_from_cache(repository, "model.safetensors.index.json")
        if not isinstance(config, str):
            return False
        if not isinstance(index, str):
            return isinstance(whole, str)
        shards = set(json.loads(Path(index).read_text())["weight_map"].values())
        return all(isinstance(try_to_load_from_cache(repository, name), str) for name in shards)
    except (HFValidationError, OSError, ValueError, KeyError, AttributeError):
        return False


def _wandb_key() -> str | None:
    """Where a key of Weights & Biases is, in words; ``None`` where there is none."""
    if os.environ.get("WANDB_API_KEY", "").strip():
        return "WANDB_API_KEY in the environment"
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or _WANDB_HOST).hostname or ""
    file = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        entry = netrc.netrc(file).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return f"{file} for {host}" if entry and entry[2] else None


def _wandb_is_off() -> str | None:
    """The value of ``WANDB_MODE`` where it says that nothing is sent."""
    mode = os.environ.get("WANDB_MODE", "").strip().lower()
    return mode if mode in ("offline", "disabled", "dryrun") else None


def _hub_token() -> str | None:
    """Where a token of the Hub is, in words; ``None`` where there is none."""
    for variable in _HUB_VARIABLES:
        if os.environ.get(variable, "").strip():
            return f"{variable} in the environment"
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    file = Path(os.environ.get("HF_TOKEN_PATH") or home / "token").expanduser()
    try:
        return str(file) if file.read_text().strip() else None
    except OSError:
        return None
