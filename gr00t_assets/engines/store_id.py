"""The mark by which a node knows that it has mounted the store, and not another in its place."""

import os
import uuid

from gr00t_assets.core.files import make_directory, partial_name, sync_directory
from gr00t_assets.core.project import Store

STORE_ID = ".store-id"
"""In the store's root."""


def store_id(store: Store) -> str:
    """The store's id, made where it has none yet; of two processes that make it one wins."""
    path = store.root / STORE_ID
    if not path.is_file():
        make_directory(store.root)
        own = path.with_name(partial_name(path.name))
        own.write_text(uuid.uuid4().hex + "\n", encoding="utf-8")
        try:
            os.link(own, path)
            sync_directory(store.root)
        except FileExistsError:
            pass
        finally:
            own.unlink(missing_ok=True)
    return path.read_text(encoding="utf-8").strip()
