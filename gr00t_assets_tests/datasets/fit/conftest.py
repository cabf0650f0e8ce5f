"""A copy of the demo dataset that a test may spoil."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def spoilt_copy(demo_dataset: Path, tmp_path: Path) -> Path:
    """The demo dataset with its own files of metadata and links to its rows and videos."""
    copy = tmp_path / "robot_sim.PickNPlace"
    shutil.copytree(
        demo_dataset, copy, copy_function=lambda source, to: Path(to).symlink_to(source)
    )
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    for link in (copy / "meta").iterdir():
        content = link.read_bytes()
        link.unlink()
        link.write_bytes(content)
    return copy


@pytest.fixture
def edit_meta(spoilt_copy: Path) -> Callable[[str, Callable[[Any], None]], None]:
    """Change a JSON file below ``meta`` of the copy in place."""

    def edit(name: str, change: Callable[[Any], None]) -> None:
        path = spoilt_copy / "meta" / name
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return edit
