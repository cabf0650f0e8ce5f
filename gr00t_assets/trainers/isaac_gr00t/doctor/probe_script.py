"""Says which packages a Python has, without importing any: one JSON object on standard output.

Run by path under another Python, so nothing but the standard library is used.
"""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import sys


def origin(module):
    """File of a top-level module; ``None`` where it is not found."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec else None


def torch_build():
    """Version and CUDA that torch was built with, from ``torch/version.py`` read as text."""
    file = origin("torch")
    if file is None:
        return {}
    try:
        with open(os.path.join(os.path.dirname(file), "version.py")) as source:  # noqa: PTH118, PTH120, PTH123
            text = source.read()
    except OSError:
        return {}
    build = {}
    for name in ("__version__", "cuda"):
        match = re.search(r"^%s\b[^=\n]*=\s*['\"]([^'\"]*)['\"]" % name, text, re.MULTILINE)  # noqa: UP031
        build[name.strip("_")] = match.group(1) if match else None
    return build


def versions():
    """Version of each distribution by its name in PyPI's normal form."""
    packages = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            packages.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return packages


if __name__ == "__main__":
    json.dump(
        {
            "python": platform.python_version(),
            "packages": versions(),
            "has_flash_attention": origin("flash_attn_2_cuda") is not None,
            "torch": torch_build(),
        },
        sys.stdout,
    )
