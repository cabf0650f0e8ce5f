"""Findings about the accounts that training uses, and about the base model's weights.

Keys are looked for and never kept or shown; nothing is downloaded.
"""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from gr00t_assets.core.finding import Collector
from gr00t_assets.trainers.base_model_files import looks_like_path

_WANDB_SERVER = "https://api.wandb.ai"
_HUB_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def check_accounts(collector: Collector) -> None:
    """Look whether the keys are there; their values are not looked at."""
    wandb = "no key of Weights & Biases: runs are recorded offline"
    hub = "no token of the Hugging Face Hub: private and gated models cannot be had"
    for code, place, absent in (
        ("wandb-key", _wandb_key(), wandb),
        ("hub-token", _hub_token(), hub),
    ):
        if place:
            collector.ok(code, "accounts", place)
        else:
            collector.report(code, "accounts", absent)


def check_base_model(collector: Collector, base_model: str) -> None:
    """Look whether a base model is here; nothing is downloaded."""
    if Path(base_model).expanduser().is_dir():
        collector.ok("base-model", "accounts", f"{base_model} is a folder here")
    elif looks_like_path(base_model):
        collector.report("base-model-folder", "accounts", f"no folder {base_model}")
    elif _in_hub_cache(base_model):
        collector.ok("base-model", "accounts", f"{base_model} is in the Hub's cache")
    else:
        fault, absent = "base-model", f"{base_model} is not in the Hub's cache"
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            fault += "-offline"
            absent += ", and HF_HUB_OFFLINE keeps it from being downloaded"
        collector.report(fault, "accounts", absent, base_model=base_model)


def _in_hub_cache(repository: str) -> bool:
    """Whether the cache has the config and every file of the weights."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    def has(name: str) -> bool:
        return isinstance(try_to_load_from_cache(repository, name), str)

    try:
        if not has("config.json"):
            return False
        index = try_to_load_from_cache(repository, "model.safetensors.index.json")
        if not isinstance(index, str):
            return has("model.safetensors")
        return all(
            map(has, json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
        )
    except (HFValidationError, OSError, ValueError, KeyError, AttributeError):
        return False


def _wandb_key() -> str | None:
    """Where a key of Weights & Biases is, or why none is needed; ``None`` where there is none."""
    from requests.utils import get_netrc_auth

    if os.environ.get("WANDB_API_KEY", "").strip():
        return "WANDB_API_KEY in the environment"
    server = os.environ.get("WANDB_BASE_URL") or _WANDB_SERVER
    if get_netrc_auth(server):
        return f"{os.environ.get('NETRC') or '~/.netrc'} for {urlsplit(server).hostname}"
    mode = os.environ.get("WANDB_MODE", "").strip().lower()
    nothing_is_sent = mode in ("offline", "disabled", "dryrun")
    return f"not needed: WANDB_MODE is {mode}" if nothing_is_sent else None


def _hub_token() -> str | None:
    """Where a token of the Hub is, in words; ``None`` where there is none."""
    from huggingface_hub.constants import HF_TOKEN_PATH

    for variable in _HUB_VARIABLES:
        if os.environ.get(variable, "").strip():
            return f"{variable} in the environment"
    try:
        return HF_TOKEN_PATH if Path(HF_TOKEN_PATH).read_text(encoding="utf-8").strip() else None
    except OSError:
        return None
