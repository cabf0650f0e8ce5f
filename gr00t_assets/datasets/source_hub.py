"""A dataset from the Hugging Face Hub."""

import os
from pathlib import Path

from gr00t_assets.datasets.source_kinds import HubSource, without_credentials
from gr00t_assets.errors import DatasetError

NOT_DOWNLOADED = [".*", "README.md"]
"""Files of a Hub repository that are not content of the dataset."""

_TIMEOUT = 10.0


def fetch_hub(source: HubSource, directory: Path, name: str) -> str:
    """Download a dataset repository.

    ``HF_ENDPOINT`` and a token in the environment are honoured; the token is in no message.

    Args:
        source: Repository and revision.
        directory: Empty folder that is filled.
        name: What errors call the dataset.

    Returns:
        The full commit hash that was downloaded.

    Raises:
        DatasetError: The Hub cannot be reached, or has no such repository or revision.
    """
    from huggingface_hub import snapshot_download

    commit = hub_commit(source, name)
    try:
        snapshot_download(
            source.repo_id,
            repo_type="dataset",
            revision=commit,
            local_dir=directory,
            ignore_patterns=NOT_DOWNLOADED,
            etag_timeout=_TIMEOUT,
            endpoint=_endpoint(),
        )
    except Exception as error:
        raise _explained(error, source, name) from error
    return commit


def hub_commit(source: HubSource, name: str) -> str:
    """The commit that a revision means now.

    Raises:
        DatasetError: The Hub cannot be reached, or has no such repository or revision.
    """
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=_endpoint()).dataset_info(
            source.repo_id, revision=source.revision, timeout=_TIMEOUT
        )
    except Exception as error:
        raise _explained(error, source, name) from error
    if info.sha is None:
        raise DatasetError(name, f"{source.describe()} has no commit.", ["try again"])
    return info.sha


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _explained(error: Exception, source: HubSource, name: str) -> DatasetError:
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    names = " or ".join(dict.fromkeys([name, source.repo_id.split("/")[-1]]))
    local = f"or set GR00T_ASSETS_DATASETS to a folder that holds {names}"
    where = _endpoint() or "https://huggingface.co"
    if isinstance(error, GatedRepoError):
        problem = f"the Hub dataset {source.repo_id} is gated."
        details = ["accept its terms on its page, and set HF_TOKEN", local]
    elif isinstance(error, RepositoryNotFoundError):
        problem = f"{where} has no dataset {source.repo_id}, or it is private."
        details = ["mend repo_id in data/datasets.yaml, or set HF_TOKEN", local]
    elif isinstance(error, RevisionNotFoundError):
        problem = f"the Hub dataset {source.repo_id} has no revision {source.revision}."
        details = ["mend revision in data/datasets.yaml", local]
    else:
        problem = f"{source.repo_id} cannot be downloaded from {where}."
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        details = [_clean(reason), "see that this machine reaches the Hub, and try again", local]
    return DatasetError(name, problem, details)


def _clean(text: str) -> str:
    token = os.environ.get("HF_TOKEN")
    return without_credentials(text.replace(token, "***") if token else text)
