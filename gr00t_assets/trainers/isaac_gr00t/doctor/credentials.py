"""Where the keys of Weights & Biases and of the Hub are; their values are never kept or shown."""

import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

_WANDB_HOST = "https://api.wandb.ai"
_HUB_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def wandb_key() -> str | None:
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


def wandb_is_off() -> str | None:
    """The value of ``WANDB_MODE`` where it says that nothing is sent."""
    mode = os.environ.get("WANDB_MODE", "").strip().lower()
    return mode if mode in ("offline", "disabled", "dryrun") else None


def hub_token() -> str | None:
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
