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
from gr00t_assets.datasets import source_kinds as kinds
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.expert_recording import recording_digest
from gr00t_assets.datasets.sources.hub_source import HubUnreachableError, hub_commit
from gr00t_assets.modality.modality_json import MODALITY, preset_path

ORIGIN = "origin.json"
OFFLINE = "the Hub could not be asked"  # begins the warning that the store's version was used


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


def origin_now(
    entry: CatalogEntry, store: Store, local_digest: str | None
) -> tuple[Origin, str | None]:
    """What a source means now; asks the Hub about branches and tags.

    Of a dataset that lies in a folder of this machine it is the hash of its content,
    ``local_digest``. Gives a warning, too, where the Hub did not answer and the store has the
    revision.

    Raises:
        DatasetError: The revision means another commit than in the store, or the Hub cannot be
            asked and the store has nothing for it.
        SimulationError: No environment of the source's name is declared.
    """
    if local_digest is not None:
        key = _key(entry, store, "folder", local_digest)
        return Origin(kind="folder", key=key), None
    source, address, asked, commit, warning = entry.source, None, None, None, None
    match source:
        case kinds.SyntheticSource():
            content = [source.digest()]
        case kinds.EnvironmentSource():
            content = [recording_digest(source)]
        case kinds.GitSource():
            address = kinds.without_credentials(source.repository)
            asked = commit = source.revision
            content = [address, source.path, commit]
        case kinds.HubSource():
            address, asked = source.repo_id, source.revision
            commit, warning = _hub_commit(source, entry.name, store)
            preset = sha256(preset_path(source.modality)) if source.modality else None
            content = [address, commit, preset]
        case _:
            raise TypeError(f"{source.kind} has no origin")
    key = _key(entry, store, source.kind, *content)
    origin = Origin(kind=source.kind, repository=address, asked=asked, commit=commit, key=key)
    return origin, warning


def _hub_commit(source: kinds.HubSource, name: str, store: Store) -> tuple[str, str | None]:
    """The commit of a revision, and a warning where the one in the store is taken unasked."""
    stored = load_origin(name, store)
    asked, stored_commit = ("hub", source.repo_id, source.revision), None
    if stored and (stored[0].kind, stored[0].repository, stored[0].asked) == asked:
        stored_commit = stored[0].commit
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
    own, accepted = _own_files(entry.name, store)
    if own.is_file():
        return {Path(MODALITY): own}
    if isinstance(entry.source, kinds.HubSource) and entry.source.modality is not None:
        return {Path(MODALITY): preset_path(entry.source.modality)}
    if accepted.is_file() and not (directory / MODALITY).exists():
        return {Path(MODALITY): accepted}
    return {}


def _own_files(name: str, store: Store) -> tuple[Path, Path]:
    """Where the project, and where a store of version 0.2 has a dataset's ``modality.json``."""
    accepted = store.dataset_record(name).with_name("modality.accepted.json")
    return own_modality_file(name), accepted


def _key(entry: CatalogEntry, store: Store, *source: str | None) -> str:
    """Hash of what decides the content: the source, the file that stands in, and the curation.

    The number of the converter is a constant: what it was is in the record of a converted dataset.
    """
    own = filter(Path.is_file, _own_files(entry.name, store))
    digest = next(map(sha256, own), "none")
    content = [*source, f"v3.0 converter 1, accepted modality {digest}"]
    if not entry.curation.is_empty:
        content.append(entry.curation.identity)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
