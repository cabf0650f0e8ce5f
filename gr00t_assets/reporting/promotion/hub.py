"""Pushing a promoted model to the Hugging Face Hub."""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gr00t_assets.core.errors import PromotionError
from gr00t_assets.core.files import append_line, read_objects, sync_file
from gr00t_assets.reporting.promotion.record import Promotion
from gr00t_assets.runs.checkpoint_layout import require_unchanged

PUSHES = "pushes.jsonl"
"""Beside the record: one line a push. It is never uploaded."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class Push(NamedTuple):
    """Where a model went."""

    repository: str
    url: str
    commit: str


def push(record: Promotion, folder: Path, repository: str, private: bool = False) -> Push:
    """Upload a promoted model; files that the Hub has already are not sent again.

    The token comes from ``HF_TOKEN`` or from ``hf auth login``; it is in no message. The repository
    is created where there is none; one that is public is refused where it is to be private.

    Raises:
        CheckpointError: A file of it is not as it was promoted.
        PromotionError: The name cannot be a repository's, the Hub does not take it, or the
            repository is public and was to be private.
    """
    require_unchanged(folder)
    if not _REPOSITORY.fullmatch(repository):
        raise PromotionError(repository, "a Hub repository is written owner/name.")
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        api.create_repo(repository, repo_type="model", private=private, exist_ok=True)
        if private and not api.model_info(repository).private:
            raise PromotionError(
                repository,
                "this repository is public, and the model was to be private.",
                ["nothing was uploaded; give another name, or make it private on the Hub"],
            )
        upload = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=f"{record.name} {record.config_hash}",
            ignore_patterns=[PUSHES],
        )
    except PromotionError:
        raise
    except Exception as error:  # of the Hub's client, of its HTTP library, or of the disk
        raise _refused(repository, error) from None
    pushed = Push(repository, f"{api.endpoint}/{repository}", upload.oid)
    line = {"pushed_at": datetime.now(UTC).isoformat(timespec="seconds"), **pushed._asdict()}
    append_line(folder / PUSHES, json.dumps(line).encode())
    sync_file(folder / PUSHES)
    return pushed


def pushes(folder: Path) -> list[Push]:
    """Every push of a promoted model, the first one first."""
    lines = [line for line in read_objects(folder / PUSHES) if line.keys() >= set(Push._fields)]
    return [Push(*(line[name] for name in Push._fields)) for line in lines]


def _refused(repository: str, error: Exception) -> PromotionError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = f"{type(error).__name__}" + (f", HTTP {status}" if status else "")
    hints = {
        401: "log in with `hf auth login`, or set HF_TOKEN to a token that may write",
        403: "the token may not write there: make one that may, or choose another owner",
        None: "is the Hub reachable? HF_ENDPOINT names another one",
    }
    hint = hints.get(status, "try again later; what was promoted stays here")
    return PromotionError(repository, "the Hub did not take the model.", [reason, hint])
