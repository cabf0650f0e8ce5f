"""What the Hub's client says when it fails, in words for people and without the token."""

import os
import re

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.sources.source_kinds import HubSource, without_credentials

_BUSY = (408, 429)
_REFUSED = (401, 403)


class HubUnreachableError(DatasetError):
    """The Hub gave no answer, or said that it cannot serve now."""


def endpoint() -> str | None:
    """``HF_ENDPOINT`` where it is set."""
    return os.environ.get("HF_ENDPOINT") or None


def explained(error: Exception, source: HubSource, name: str) -> DatasetError:
    """The error to raise in place of one of the Hub's client.

    Args:
        error: What the client raised.
        source: What was asked for.
        name: What errors call the dataset.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    names = " or ".join(dict.fromkeys([name, source.repo_id.split("/")[-1]]))
    local = f"or set GR00T_ASSETS_DATASETS to a folder that holds {names}"
    where = without_credentials(endpoint() or "https://huggingface.co")
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    token = "set HF_TOKEN to a token that may read it"
    if _has_token():
        token = "the token that is set may not read it; " + token
    if isinstance(error, GatedRepoError):
        problem = f"the Hub dataset {source.repo_id} is gated."
        return DatasetError(name, problem, ["accept its terms on its page", token, local])
    if isinstance(error, RevisionNotFoundError):
        problem = f"the Hub dataset {source.repo_id} has no revision {source.revision}."
        return DatasetError(name, problem, ["mend revision in data/datasets.yaml", local])
    if isinstance(error, RepositoryNotFoundError) or status in _REFUSED:
        problem = f"{where} has no dataset {source.repo_id}, or it is private."
        mend = f"mend repo_id in data/datasets.yaml, or, where it is private, {token}"
        return DatasetError(name, problem, [f"it answered {status}", mend, local])
    problem = f"{source.repo_id} cannot be downloaded from {where}."
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    details = [
        without_token(reason),
        "see that this machine reaches the Hub, and try again; what is complete is kept",
        local,
    ]
    answered = status is not None and status < 500 and status not in _BUSY
    kind = DatasetError if answered or isinstance(error, HFValidationError) else HubUnreachableError
    return kind(name, problem, details)


def without_token(text: str) -> str:
    """A text without the token, and addresses without user, password and signed query."""
    from huggingface_hub import get_token

    for token in (get_token(), os.environ.get("HF_TOKEN")):
        text = text.replace(token, "***") if token else text
    return re.sub(r"(\w+://[^\s'\"?]+)\?[^\s'\"]+", r"\1", without_credentials(text))


def _has_token() -> bool:
    from huggingface_hub import get_token

    return bool(get_token())
