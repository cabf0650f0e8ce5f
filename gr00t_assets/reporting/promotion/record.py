"""The record of a promoted model, the list of all of a store, and pushing one to the Hub."""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from gr00t_assets.core.checksums import load_sealed
from gr00t_assets.core.errors import PromotionError, StoreError
from gr00t_assets.core.files import FrozenModel, append_line, inner_folders, read_objects, sync_file
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.intervals import SuccessRate
from gr00t_assets.runs.checkpoint_choice import MODELS, OF_CHECKPOINT
from gr00t_assets.runs.checkpoint_layout import PROMOTION, require_unchanged

NOT_JUDGED = "Promoted by a version of gr00t-assets that asked no policy to beat a baseline."


class Promotion(FrozenModel):
    """The record of a promoted model, beside its weights."""

    format: Literal[1] = 1
    experiment: str
    sweep: str
    config_hash: str
    step: int | None = Field(default=None, description="Of the checkpoint; none: final weights")
    chosen: str | None = Field(default=None, description="Why this one, where @best was asked for")
    verdict: str = Field(default=NOT_JUDGED, description="Of the gate, in words")
    reasons: tuple[str, ...] = Field(default=(), description="Why the gate did not let it pass")
    because: str | None = Field(default=None, description="Why it was promoted all the same")
    success: dict[str, SuccessRate] = Field(default={}, description="In rollouts, by environment")
    held_out_error: float | None = Field(default=None, description="Mean, normalised")
    promoted_at: str = Field(description="ISO 8601, UTC")
    commit: str | None = Field(description="With '+changes' where files were; None without git")
    trainer: str
    trainer_revision: str
    base_model: str
    base_model_revision: str | None
    dataset: str
    dataset_version: str
    comparability_class: str = Field(description="Its short id")
    loss: float = Field(description="Training loss, mean over the window that ends at its step")
    loss_standard_error: float | None = Field(description="None where the window is too short")
    evaluation: str = Field(description="Content hash of the open-loop evaluation")
    model_hash: str | None = Field(default=None, description="As the evaluation has it")
    checks: dict[str, bool]
    weights: dict[str, str] = Field(description="SHA-256 of each weights file, by name")
    files: dict[str, str] = Field(default={}, description="Of others; none in older promotions")

    @property
    def name(self) -> str:
        """``EXPERIMENT``, or ``EXPERIMENT@STEP``."""
        return self.experiment if self.step is None else f"{self.experiment}@{self.step}"

    @property
    def judged(self) -> bool:
        """Whether the gate was asked."""
        return self.verdict != NOT_JUDGED

    @property
    def success_text(self) -> str:
        """Successes in every environment; '' where it was not rolled out."""
        return ", ".join(f"{rate.words()} in {name}" for name, rate in self.success.items())


def promoted_folder(store: Store, experiment: str, config_hash: str, step: int | None) -> Path:
    """Where promoted weights of a run are."""
    name = config_hash if step is None else f"{config_hash}{OF_CHECKPOINT}{step:06d}"
    return store.promoted_model(experiment, name)


def load_promotion(folder: Path) -> Promotion | None:
    """The record of a promoted model; None where the folder holds none.

    ``PromotionError`` where it is not as it was written, ``StoreError`` where it may not be read.
    """
    path = folder / PROMOTION

    def unreadable(why: str) -> PromotionError:
        remedy = f"move {folder.name} away and promote again"
        problem = "this is not the record of a promotion."
        return PromotionError(str(path), problem, [why.splitlines()[0], remedy])

    return load_sealed(path, Promotion, unreadable) if path.is_file() else None


class Promoted(NamedTuple):
    """A promoted model's folder, and its record or why that cannot be read."""

    folder: Path
    record: Promotion | None
    problem: str | None = None


def promoted_models(store: Store, experiment: str | None = None) -> list[Promoted]:
    """Every promoted model of a store, or of one experiment, the newest first."""
    models = []
    for folder in inner_folders(store.root / MODELS):
        if experiment in (None, folder.parent.name):
            try:
                if (record := load_promotion(folder)) is not None:
                    models.append(Promoted(folder, record))
            except (PromotionError, StoreError) as error:
                models.append(Promoted(folder, None, str(error)))
    models.sort(key=lambda model: model.record.promoted_at if model.record else "", reverse=True)
    return models


PUSHES = "pushes.jsonl"  # Beside the record: one line a push. It is never uploaded.
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
            problem = "this repository is public, and the model was to be private."
            remedy = "nothing was uploaded; give another name, or make it private on the Hub"
            raise PromotionError(repository, problem, [remedy])
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
