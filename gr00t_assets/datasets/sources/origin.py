"""What the current version of a dataset was made from.

A dataset in LeRobot v3.0 becomes v2.1, and a ``modality.json`` of the project stands in for that of
the source. Both belong to the origin: where they change, the dataset is brought in anew.
"""

import hashlib
import json
from pathlib import Path

from pydantic import Field

from gr00t_assets.core.checksums import read_sealed, sealed, sha256
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.project import Store, own_modality_file
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.expert_recording import recording_digest
from gr00t_assets.datasets.source_kinds import (
    EnvironmentSource,
    GitSource,
    HubSource,
    SyntheticSource,
    without_credentials,
)
from gr00t_assets.datasets.sources.hub_source import HubUnreachableError, hub_commit
from gr00t_assets.modality.modality_json import MODALITY, preset_path

ORIGIN = "origin.json"
OFFLINE = "the Hub could not be asked"
"""How the warning begins that a version from the store was used without asking."""


class Origin(FrozenModel):
    """``origin.json`` beside the record: where the version came from, to the commit."""

    kind: str = Field(description="synthetic, environment, hub, git or folder")
    repository: str | None = Field(default=None, description="Of the Hub or of git")
    asked: str | None = Field(default=None, description="Revision in data/datasets.yaml")
    commit: str | None = Field(default=None, description="What that revision meant, in full")
    key: str = Field(description="Hash of all that decides the content, 16 hex digits")


def load_origin(name: str, store: Store) -> tuple[Origin, str] | None:
    """Origin and version of what is in the store; None where nothing is, or it is unreadable."""
    try:
        content = read_sealed(store.dataset_record(name).with_name(ORIGIN))
        return Origin.model_validate(content["origin"]), str(content["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_origin(name: str, store: Store, origin: Origin, version: str) -> None:
    """Remember where the current version came from; nothing is written where it is known."""
    if load_origin(name, store) == (origin, version):
        return
    content = {"origin": origin.model_dump(mode="json"), "version": version}
    write_json(store.dataset_record(name).with_name(ORIGIN), sealed(content))


def folder_origin(entry: CatalogEntry, store: Store, digest: str) -> Origin:
    """The origin of a dataset in a folder of this machine, whose content is its version."""
    return Origin(kind="folder", key=_key(entry, store, "folder", digest))


def origin_now(entry: CatalogEntry, store: Store) -> tuple[Origin, str | None]:
    """What a source that is no folder means now; asks the Hub about branches and tags.

    Returns:
        The origin, and a warning where the Hub gave no answer and the store has the revision.

    Raises:
        DatasetError: The revision means another commit than in the store, or the Hub cannot be
            asked and the store has nothing for it.
        SimulationError: No environment of the source's name is declared.
    """
    source = entry.source
    if isinstance(source, SyntheticSource):
        key = _key(entry, store, "synthetic", source.digest())
        return Origin(kind="synthetic", key=key), None
    if isinstance(source, EnvironmentSource):
        key = _key(entry, store, "environment", recording_digest(source))
        return Origin(kind="environment", key=key), None
    if isinstance(source, GitSource):
        address = without_credentials(source.repository)
        key = _key(entry, store, "git", address, source.path, source.revision)
        commit = source.revision
        return Origin(kind="git", repository=address, asked=commit, commit=commit, key=key), None
    if not isinstance(source, HubSource):
        raise TypeError(f"{source.kind} has no origin")
    commit, warning = _hub_commit(source, entry.name, load_origin(entry.name, store))
    preset = sha256(preset_path(source.modality)) if source.modality else None
    key = _key(entry, store, "hub", source.repo_id, commit, preset)
    names = {"repository": source.repo_id, "asked": source.revision}
    return Origin(kind="hub", commit=commit, key=key, **names), warning


def _hub_commit(
    source: HubSource, name: str, stored: tuple[Origin, str] | None
) -> tuple[str, str | None]:
    """The commit of a revision, and a warning where the one in the store is taken unasked."""
    origin = stored[0] if stored else None
    asked = ("hub", source.repo_id, source.revision)
    stored_commit = None
    if origin is not None and (origin.kind, origin.repository, origin.asked) == asked:
        stored_commit = origin.commit
    try:
        commit = hub_commit(source, name)
    except HubUnreachableError as error:
        if stored_commit is None:
            raise
        return stored_commit, f"{OFFLINE} what {source.revision} means now ({error.details[0]})"
    except DatasetError as error:
        if stored_commit is None:
            raise
        pin = f"or pin what is in the store, and the Hub is not asked: revision: {stored_commit}"
        raise DatasetError(name, error.problem, [*error.details, pin]) from error
    if stored_commit is not None and stored_commit != commit:
        problem = f"revision {source.revision} of {source.repo_id} was moved to another commit "
        problem += "since the version in the store was taken."
        details = [
            f"in the store: {stored_commit}",
            f"on the Hub:   {commit}",
            f"to take the new one, pin it in data/datasets.yaml: revision: {commit}",
            f"to stay with the old one, pin it there: revision: {stored_commit}",
        ]
        raise DatasetError(name, problem, details)
    return commit, None


def replaced_files(entry: CatalogEntry, directory: Path, store: Store) -> dict[Path, Path]:
    """Files that stand in for those of the source, by path inside the dataset.

    The project's own ``modality.json`` comes before a packaged one. One that was accepted from a
    proposal of version 0.2 is taken where the source, as it was taken to a folder, has none.
    """
    own, source = own_modality_file(entry.name), entry.source
    accepted = _accepted_file(entry.name, store)
    if own.is_file():
        return {Path(MODALITY): own}
    if isinstance(source, HubSource) and source.modality is not None:
        return {Path(MODALITY): preset_path(source.modality)}
    if accepted.is_file() and not (directory / MODALITY).exists():
        return {Path(MODALITY): accepted}
    return {}


def _accepted_file(name: str, store: Store) -> Path:
    return store.dataset_record(name).with_name("modality.accepted.json")


def _key(entry: CatalogEntry, store: Store, *source: str | None) -> str:
    """Hash of what decides the content: the source, the file that stands in, and the curation.

    The number of the converter is a constant: what it was is in the record of a converted dataset.
    """
    stand_ins = (own_modality_file(entry.name), _accepted_file(entry.name, store))
    digest = next((sha256(file) for file in stand_ins if file.is_file()), "none")
    content = [*source, f"v3.0 converter 1, accepted modality {digest}"]
    if not entry.curation.is_empty:
        content.append(entry.curation.identity)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
