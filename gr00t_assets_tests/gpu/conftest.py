"""Whatever a test starts carries a tag, and is ended with the test, also where it fails."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.gpu.guard import PROCESS_TAGS, end_tagged, new_process_tag


@pytest.fixture(autouse=True)
def nothing_outlives_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    tag = new_process_tag()
    monkeypatch.setenv(PROCESS_TAGS, tag)
    yield
    assert end_tagged(tag) == []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def set_to(text: str) -> None:
        monkeypatch.setenv("GR00T_ASSETS_GPUS", text)

    return set_to
