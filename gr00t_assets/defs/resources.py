"""What assets and checks are given besides their partition."""

import dagster as dg

from gr00t_assets.core.project import Store

StoreResource = dg.ResourceParam[Store]
"""The store, as a parameter named ``store``. It has no run config: where artifacts go is said by
``GR00T_ASSETS_STORE`` for a whole process, not by one run."""


def resources() -> dict[str, object]:
    """The resources by the name of the parameter that takes them."""
    return {"store": Store.from_environment()}
