"""What is done to a dataset between its source and its first reading."""

from pathlib import Path

from gr00t_assets.project import Store


def needs_preparing(directory: Path, name: str, store: Store) -> bool:
    """Whether :func:`prepare_dataset` would change anything; a folder is copied only for that."""
    return False


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
    """
    return []


def preparation_key(name: str, store: Store) -> str:
    """What decides the outcome of :func:`prepare_dataset` besides the source, as text.

    A dataset whose source and key are those of its version in the store is not prepared again.
    """
    return ""
