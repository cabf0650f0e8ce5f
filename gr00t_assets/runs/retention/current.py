"""What of the store is current: dataset versions by their records, runs by the sweep files."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.names import name_problem
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import ModalityConfig, load_modality_config

Standing = Literal["current", "stale", "unlisted"]
"""``unlisted``: no sweep file has an experiment of its name."""


@dataclass(frozen=True)
class Current:
    """What the records and the sweep files say of the store.

    Attributes:
        versions: Current versions by dataset; a dataset that cannot be read is left out, and then
            none of its versions is old.
        hashes: Config hashes in use by experiment: its own, and those that others continue; None
            where the data is not there to tell.
        continued: Experiments that go on from a run, by its name and config hash.
    """

    versions: dict[str, frozenset[str]]
    hashes: dict[str, frozenset[str] | None]
    continued: dict[tuple[str, str], tuple[str, ...]]

    def is_old(self, dataset: str, version: str) -> bool:
        """Whether a dataset's version is known not to be current any more."""
        versions = self.versions.get(dataset)
        return versions is not None and version not in versions

    def standing(self, experiment: str, config_hash: str) -> Standing:
        """Whether a run is the one that its experiment asks for now; current where in doubt."""
        if experiment not in self.hashes:
            return "unlisted"
        known = self.hashes[experiment]
        return "current" if known is None or config_hash in known else "stale"


def read_current(experiments: Iterable[Experiment], store: Store) -> Current:
    """What is current now.

    Args:
        experiments: Of all sweep files of the project.
        store: The store.
    """
    known: dict[str, ModalityConfig | None] = {}
    hashes: dict[str, frozenset[str] | None] = {}
    continued: dict[tuple[str, str], tuple[str, ...]] = {}
    for experiment in experiments:
        if experiment.dataset not in known:
            known[experiment.dataset] = _modality(experiment.dataset, store)
        modality = known[experiment.dataset]
        hashes.setdefault(experiment.name, frozenset())
        if modality is None:
            hashes[experiment.name] = None
            continue
        data = modality.dataset_version, modality.content_hash()
        _add(hashes, experiment.name, experiment.config_hash(*data))
        source = experiment.continued()
        if source is not None:
            key = source.name, source.config_hash(*data)
            continued[key] = (*continued.get(key, ()), experiment.name)
            _add(hashes, *key)
    return Current(_versions(store), hashes, continued)


def _add(hashes: dict[str, frozenset[str] | None], name: str, config_hash: str) -> None:
    known = hashes.get(name, frozenset())
    if known is not None:
        hashes[name] = known | {config_hash}


def _modality(dataset: str, store: Store) -> ModalityConfig | None:
    try:
        return load_modality_config(dataset, store)
    except (Gr00tAssetsError, OSError):
        return None


def _versions(store: Store) -> dict[str, frozenset[str]]:
    """The recorded version of each dataset, and that of its modality config where it differs."""
    found: dict[str, frozenset[str]] = {}
    for folder in folders(store.root / "datasets"):
        if name_problem(folder.name):
            continue
        recorded = _field(store.dataset_record(folder.name), "version")
        if recorded is None:
            continue
        file = store.modality_config(folder.name)
        validated = _field(file, "dataset_version")
        if file.exists() and validated is None:
            continue
        found[folder.name] = frozenset(each for each in (recorded, validated) if each)
    return found


def _field(file: Path, name: str) -> str | None:
    try:
        value = json.loads(file.read_text())[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None


def folders(parent: Path) -> list[Path]:
    """Folders of a folder that are neither hidden nor symbolic links, by name."""
    if parent.is_symlink() or not parent.is_dir():
        return []
    return sorted(
        path
        for path in parent.iterdir()
        if not path.name.startswith(".") and path.is_dir() and not path.is_symlink()
    )
