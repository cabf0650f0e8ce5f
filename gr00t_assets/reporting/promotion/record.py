"""``promotion.json``: which model was promoted, when, from what, and what it had passed."""

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.errors import PromotionError

PROMOTION = "promotion.json"
CARD = "README.md"


class Promotion(BaseModel):
    """The record of a promoted model, beside its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    experiment: str
    sweep: str
    config_hash: str
    promoted_at: str = Field(description="ISO 8601, UTC")
    commit: str | None = Field(
        description="Of the project, with '+changes' where files were changed; None without git"
    )
    trainer: str
    trainer_revision: str
    base_model: str
    base_model_revision: str | None
    dataset: str
    dataset_version: str
    comparability_class: str = Field(description="Its short id")
    loss: float = Field(description="Final loss, mean over the window")
    loss_standard_error: float
    evaluation: str = Field(description="Content hash of the open-loop evaluation")
    checks: dict[str, bool]
    weights: dict[str, str] = Field(description="SHA-256 of each weights file, by name")


def weight_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every safetensors file of a folder, by name."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def load_promotion(folder: Path) -> Promotion | None:
    """The record of a promoted model; None where the folder holds none.

    Raises:
        PromotionError: The file is there and is no such record.
    """
    path = folder / PROMOTION
    if not path.is_file():
        return None
    try:
        return Promotion.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        hint = f"move {folder.name} away and promote again"
        raise PromotionError(
            str(path), "this is not the record of a promotion.", [str(error).splitlines()[0], hint]
        ) from error
