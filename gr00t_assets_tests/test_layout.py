"""The layout that the design promises: Dagster in one folder, files of a readable size."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "gr00t_assets"
WITH_DAGSTER = (PACKAGE / "defs", PACKAGE / "definitions.py")
MOST_LINES = 300


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_domain_code_does_not_import_dagster() -> None:
    wrong = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if not any(file.is_relative_to(place) for place in WITH_DAGSTER)
        and any(name == "dagster" or name.startswith("dagster.") for name in imported(file))
    ]
    assert wrong == []


def test_the_comparison_knows_no_trainer() -> None:
    wrong = [
        str(file.relative_to(PACKAGE))
        for file in (PACKAGE / "comparison").rglob("*.py")
        if any(name.startswith("gr00t_assets.trainers.native") for name in imported(file))
    ]
    assert wrong == []


def test_no_file_is_longer_than_a_reader_likes() -> None:
    long = {
        str(file.relative_to(PACKAGE)): lines
        for file in PACKAGE.rglob("*.py")
        if (lines := len(file.read_text().splitlines())) > MOST_LINES
    }
    assert long == {}
