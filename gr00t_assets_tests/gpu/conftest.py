"""Whatever a test starts carries a mark, and is ended with the test, also where it fails."""

from collections.abc import Iterator

import pytest

from gr00t_assets.gpu.marks import MARK, end_marked, new_mark


@pytest.fixture(autouse=True)
def nothing_outlives_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    mark = new_mark()
    monkeypatch.setenv(MARK, mark)
    yield
    assert end_marked(mark) == []
