"""How many frames the datasets of a project have, as far as it is known."""

from collections.abc import Mapping

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.datasets.sources.record import load_record


def known_frames(
    store: Store | None = None, catalog: Mapping[str, CatalogEntry] | None = None
) -> dict[str, int]:
    """Frames by dataset: of the version in the store, else what the catalog says.

    Nothing raises: a table can be compared where there is no catalog and no store.
    """
    if catalog is None:
        try:
            catalog = load_catalog()
        except (Gr00tAssetsError, OSError):
            catalog = {}
    frames: dict[str, int] = {}
    for name, entry in catalog.items():
        if entry.frames is not None:
            frames[name] = entry.frames
        if store is None:
            continue
        try:
            frames[name] = load_record(name, store).frames
        except (Gr00tAssetsError, OSError):
            continue
    return frames
