"""Versions that a manifest records."""

import platform
from importlib import metadata

PACKAGES = ("gr00t-assets", "torch", "transformers", "numpy", "av", "safetensors", "flash-attn")


def installed_versions() -> dict[str, str]:
    """Python and the packages that can change a loss; those not installed are left out."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
