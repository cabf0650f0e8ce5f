from pathlib import Path

from gr00t_assets.defs.metadata import bullets, image, in_store, table
from gr00t_assets.project import Store


def test_a_cell_cannot_break_its_table():
    shown = table(["task"], [["pick | place\nthe pear"]]).md_str
    assert shown is not None
    assert shown.splitlines()[2:] == ["| pick \\| place the pear |"]


def test_values_are_shown_as_people_write_them():
    shown = table(["a", "b", "c"], [[True, 1e-4, 1 / 3]]).md_str
    assert shown is not None and shown.endswith("| true | 0.0001 | 0.333333 |")


def test_no_warnings_are_none():
    assert bullets([]).md_str == "none"
    assert bullets(["late by a frame"]).md_str == "- late by a frame"


def test_an_image_is_in_the_page_itself():
    assert image(b"abc", "frames").md_str == "![frames](data:image/png;base64,YWJj)"


def test_paths_are_those_of_the_store():
    store = Store(Path("/mnt/store"))
    assert in_store(store.run_directory("a", "b"), store) == "runs/a/b"
