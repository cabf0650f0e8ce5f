"""Packaged ``modality.json`` files, for datasets that were recorded without one."""

from pathlib import Path

_DIRECTORY = Path(__file__).parent / "modality_files"


def preset_names() -> list[str]:
    """Names of the packaged files.

    Example:
        >>> preset_names()
        ['gr1_arms', 'so100_dualcam']
    """
    return sorted(path.stem for path in _DIRECTORY.glob("*.json"))


def preset_path(name: str) -> Path:
    """The packaged file of a name.

    ``so100_dualcam`` has the slices and cameras of the file that Isaac-GR00T gives for the SO-100
    and SO-101 arms; ``gr1_arms`` those of its demonstration ``robot_sim.PickNPlace``.

    Raises:
        KeyError: There is none.
    """
    path = _DIRECTORY / f"{name}.json"
    if name not in preset_names():
        raise KeyError(name)
    return path
