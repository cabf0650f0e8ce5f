"""What is done to a dataset between its source and its first reading.

A dataset in LeRobot v3.0 becomes v2.1, and one without ``meta/modality.json`` gets the accepted
draft.
"""

import hashlib
import shutil
from pathlib import Path

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.fit.draft import accepted_path
from gr00t_assets.datasets.lerobot.v3.in_place import CONVERTER_VERSION, convert_in_place
from gr00t_assets.datasets.lerobot.v3.layout import is_v30

MODALITY = Path("meta") / "modality.json"


def needs_preparing(directory: Path, name: str, store: Store) -> bool:
    """Whether :func:`prepare_dataset` would change anything; a folder is copied only for that."""
    return is_v30(directory) or _lacks_accepted(directory, name, store)


def prepare_dataset(directory: Path, name: str, store: Store) -> list[str]:
    """Bring a dataset into the form that is read here.

    Args:
        directory: A working copy inside the store, to be changed in place. Its files may share
            their bytes with the download: a file is replaced by a new one or removed, and never
            opened for writing.
        name: The dataset.
        store: Where accepted additions to it are.

    Returns:
        Warnings for the dataset's record.

    Raises:
        DatasetError: It is in v3.0 and cannot be converted; every problem is listed.
    """
    warnings = convert_in_place(directory, name) if is_v30(directory) else []
    if _lacks_accepted(directory, name, store):
        shutil.copyfile(accepted_path(name, store), directory / MODALITY)
        warnings.append("meta/modality.json is the accepted draft; the source has none")
    return warnings


def preparation_key(name: str, store: Store) -> str:
    """What decides the outcome of :func:`prepare_dataset` besides the source, as text.

    A dataset whose source and key are those of its version in the store is not prepared again.
    """
    accepted = accepted_path(name, store)
    digest = hashlib.sha256(accepted.read_bytes()).hexdigest() if accepted.is_file() else "none"
    return f"v3.0 converter {CONVERTER_VERSION}, accepted modality {digest}"


def _lacks_accepted(directory: Path, name: str, store: Store) -> bool:
    return not (directory / MODALITY).exists() and accepted_path(name, store).is_file()
