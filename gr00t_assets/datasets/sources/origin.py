"""What the current version of a dataset was made from, and what is done to it before it is read.

A dataset in LeRobot v3.0 becomes v2.1, and one without ``meta/modality.json`` gets the accepted
proposal. Both belong to the origin: where they change, the dataset is brought in anew.
"""

import hashlib
import json
import shutil
from pathlib import Path

from pydantic import Field

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_proposal import accepted_path
from gr00t_assets.datasets.lerobot.metadata import is_v30
from gr00t_assets.datasets.lerobot.v3.convert import CONVERTER_VERSION, convert_in_place
from gr00t_assets.datasets.source_kinds import (
    GitSource,
    HubSource,
    SyntheticSource,
    without_credentials,
)
from gr00t_assets.datasets.sources.hub_source import HubUnreachableError, hub_commit
from gr00t_assets.modality.modality_json import FILE, preset_path

OFFLINE = "the Hub could not be asked"
"""How the warning begins that a version from the store was used without asking."""


class Origin(FrozenModel):
    """``origin.json`` beside the record: where the version came from, to the commit."""

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
    return Origin(kind="folder", key=_key(entry.name, store, "folder", digest))


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
        key = _key(entry.name, store, "synthetic", source.digest())
        return Origin(kind="synthetic", key=key), None
    if isinstance(source, GitSource):
        address = without_credentials(source.repository)
        key = _key(entry.name, store, "git", address, source.path, source.revision)
        commit = source.revision
        return Origin(kind="git", repository=address, asked=commit, commit=commit, key=key), None
    if not isinstance(source, HubSource):
        raise TypeError(f"{source.kind} has no origin")
    commit, warning = _hub_commit(source, entry.name, load_origin(entry.name, store))
    preset = _digest(preset_path(source.modality)) if source.modality else None
    key = _key(entry.name, store, "hub", source.repo_id, commit, preset)
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
        raise DatasetError(
            name,
            f"revision {source.revision} of {source.repo_id} was moved to another commit since "
            "the version in the store was taken.",
            [
                f"in the store: {stored_commit}",
                f"on the Hub:   {commit}",
                f"to take the new one, pin it in data/datasets.yaml: revision: {commit}",
                f"to stay with the old one, pin it there: revision: {stored_commit}",
            ],
        )
    return commit, None


def _key(name: str, store: Store, *source: str | None) -> str:
    """Hash of what decides the content: the source, the converter and the accepted addition."""
    accepted = accepted_path(name, store)
    digest = _digest(accepted) if accepted.is_file() else "none"
    content = [*source, f"v3.0 converter {CONVERTER_VERSION}, accepted modality {digest}"]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _path(name: str, store: Store) -> Path:
    return store.dataset_record(name).with_name("origin.json")


def needs_preparing(directory: Path, name: str, store: Store) -> bool:
    """Whether ``prepare_dataset`` would change anything; a folder is copied only for that."""
    return is_v30(directory) or _lacks_accepted(directory, name, store)


def prepare_dataset(directory: Path, name: str, store: Store) -> list[str]:
    """Bring a dataset into the form that is read here.

    Args:
        directory: A working copy inside the store, to be changed in place. Its files may share
            their bytes with the download: a file is replaced by a new one or removed, and never
            opened for writing.

    Returns:
        Warnings for the dataset's record.

    Raises:
        DatasetError: It is in v3.0 and cannot be converted; every problem is listed.
    """
    warnings = convert_in_place(directory, name) if is_v30(directory) else []
    if _lacks_accepted(directory, name, store):
        shutil.copyfile(accepted_path(name, store), directory / FILE)
        warnings.append("meta/modality.json is the accepted proposal; the source has none")
    return warnings


def _lacks_accepted(directory: Path, name: str, store: Store) -> bool:
    return not (directory / FILE).exists() and accepted_path(name, store).is_file()
