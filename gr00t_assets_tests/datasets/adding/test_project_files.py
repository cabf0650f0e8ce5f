"""The catalog keeps its comments and order, and takes an entry whole or not at all."""

from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.errors import CatalogError
from gr00t_assets.datasets.adding.adding import write_project_files
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog

ENTRY = CatalogEntry.model_validate(
    {
        "name": "mine",
        "description": 'écrit: "yes" # no comment',
        "source": {"kind": "hub", "repo_id": "owner/mine", "revision": "v1"},
        "data_config": "so100_dualcam",
        "held_out": 0.1,
    }
)
BEFORE = """# A comment that stays.
first:   # of the first
  description: "1: one"
  source: synthetic
  data_config: fourier_gr1_arms_only
  embodiment_tag: gr1
"""


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "datasets.yaml"


@pytest.mark.parametrize("before", [BEFORE, BEFORE.rstrip("\n"), BEFORE + "\n\n# the end\n"])
def test_an_entry_goes_after_all_others(catalog: Path, before: str) -> None:
    catalog.write_text(before)
    write_project_files({}, ENTRY)
    text = catalog.read_text()
    assert text.startswith(before.rstrip("\n"))
    assert list(load_catalog()) == ["first", "mine"] and load_catalog()["mine"] == ENTRY


@pytest.mark.parametrize("before", ["", "{}\n", "# only words\n", "---\n{}\n", None])
def test_the_first_entry_of_a_project(catalog: Path, before: str | None) -> None:
    if before is not None:
        catalog.write_text(before)
    write_project_files({}, ENTRY)
    assert load_catalog() == {"mine": ENTRY}
    assert "# only words" not in str(before) or "# only words" in catalog.read_text()


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("{first: {description: a, source: synthetic, data_config: so100}}\n", "cannot be put"),
        ("mine:\n  description: a\n  source: synthetic\n  data_config: so100\n", "by now"),
        ("first: 3\n", "expected the fields"),
        (BEFORE + "...\n", "cannot be put"),
    ],
)
def test_where_it_cannot_be_appended_nothing_is_written(
    catalog: Path, before: str, message: str
) -> None:
    catalog.write_text(before)
    new = catalog.parent / "datasets" / "mine" / "modality.json"
    kept = catalog.parent / "kept.json"
    kept.write_text("{}")
    with pytest.raises(CatalogError, match=message):
        write_project_files({new: "{}", kept: "{}"}, ENTRY)
    assert catalog.read_text() == before
    assert sorted(path.name for path in catalog.parent.iterdir()) == ["datasets.yaml", "kept.json"]


def test_an_unknown_data_config_is_not_written(catalog: Path) -> None:
    catalog.write_text(BEFORE)
    entry: Any = ENTRY.model_copy(update={"data_config": "none"})
    with pytest.raises(CatalogError):
        write_project_files({}, entry)
    assert catalog.read_text() == BEFORE
