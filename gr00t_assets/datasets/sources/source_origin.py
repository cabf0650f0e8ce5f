"""What the current version of a dataset was made from, and whether that still holds."""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import write_json
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.modality_presets import preset_path
from gr00t_assets.datasets.sources.prepare import preparation_key
from gr00t_assets.datasets.sources.source_hub import hub_commit
from gr00t_assets.datasets.sources.source_hub_errors import HubUnreachableError
from gr00t_assets.datasets.sources.source_kinds import (
    GitSource,
    HubSource,
    SyntheticSource,
    without_credentials,
)

OFFLINE = "the Hub could not be asked"
"""How the warning begins that a version from the store was used without asking."""


class Origin(BaseModel):
    """``origin.json`` beside the record: where the version came from, to the commit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="synthetic, hub, git or folder")
    repository: str | None = Field(default=None, description="Of the Hub or of git")
    asked: str | None = Field(default=None, description="Revision in data/datasets.yaml")
    commit: str | None = Field(default=None, description="What that revision meant, in full")
    key: str = Field(description="Hash of all that decides the content, 16 hex digits")


def load_origin(name: str, store: Store) -> tuple[Origin, str] | None:
    """Origin and version of what is in the store; None where nothing is, or it is unreadable."""
    try:
        content = json.loads(_path(name, store).read_text())
        return Origin.model_validate(content["origin"]), str(content["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_origin(name: str, store: Store, origin: Origin, version: str) -> None:
    """Remember where the current version came from; nothing is written where it is known."""
    if load_origin(name, store) == (origin, version):
        return
    content = {"origin": origin.model_dump(mode="json"), "version": version}
    write_json(_path(name, store), content)


def folder_origin(entry: CatalogEntry, store: Store, digest: str) -> Origin:
    """The origin of a dataset in a folder of this machine, whose content is its version."""
    return Origin(kind="folder", key=_key(entry.name, store, ["folder", digest]))


def origin_now(entry: CatalogEntry, store: Store) -> tuple[Origin, str | None]:
    """What a source that is no folder means now; asks the Hub about branches and tags.

    Returns:
        The origin, and a warning where the Hub gave no answer and the store has the revision.

    Raises:
        DatasetError: The revision means another commit than in the store, or the Hub cannot be
            asked and the store has nothing for it.
    """
    source = entry.source
    if isinstance(source, SyntheticSource):
        key = _key(entry.name, store, ["synthetic", source.digest()])
        return Origin(kind="synthetic", key=key), None
    if isinstance(source, GitSource):
        address = without_credentials(source.repository)
        key = _key(entry.name, store, ["git", address, source.path, source.revision])
        commit = source.revision
        origin = Origin(kind="git", repository=address, asked=commit, commit=commit, key=key)
        return origin, None
    if not isinstance(source, HubSource):
        raise TypeError(f"{source.kind} has no origin")
    commit, warning = _hub_commit(source, entry.name, load_origin(entry.name, store))
    preset = _digest(preset_path(source.modality)) if source.modality else None
    key = _key(entry.name, store, ["hub", source.repo_id, commit, preset])
    origin = Origin(
        kind="hub", repository=source.repo_id, asked=source.revision, commit=commit, key=key
    )
    return origin, warning


def _hub_commit(
    source: HubSource, name: str, known: tuple[Origin, str] | None
) -> tuple[str, str | None]:
    before = known[0] if known else None
    asked = ("hub", source.repo_id, source.revision)
    taken = None
    if before is not None and (before.kind, before.repository, before.asked) == asked:
        taken = before.commit
    try:
        commit = hub_commit(source, name)
    except HubUnreachableError as error:
        if taken is None:
            raise
        return taken, f"{OFFLINE} what {source.revision} means now ({error.details[0]})"
    except DatasetError as error:
        if taken is None:
            raise
        pin = f"or pin what is in the store, and the Hub is not asked: revision: {taken}"
        raise DatasetError(name, error.problem, [*error.details, pin]) from error
    if taken is not None and taken != commit:
        raise DatasetError(
            name,
            f"revision {source.revision} of {source.repo_id} was moved to another commit since "
            "the version in the store was taken.",
            [
                f"in the store: {taken}",
                f"on the Hub:   {commit}",
                f"to take the new one, pin it in data/datasets.yaml: revision: {commit}",
                f"to stay with the old one, pin it there: revision: {taken}",
            ],
        )
    return commit, None


def _key(name: str, store: Store, content: list[str | None]) -> str:
    content = [*content, preparation_key(name, store)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _path(name: str, store: Store) -> Path:
    return store.dataset_record(name).with_name("origin.json")
