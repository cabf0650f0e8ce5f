"""The pages say what the code does: every key, every variable, every link."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
INTERNAL = {"GR00T_ASSETS_SHARED"}
LEFT_OUT = {
    "data/engines.yaml", "data/notifications.yaml", "data/project.yaml", "data/retention.yaml",
}  # fmt: skip
"""Files of a project that need not be there."""


def test_the_tables_of_files_are_those_of_the_models() -> None:
    command = [sys.executable, str(ROOT / "docs" / "field_tables.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"run: python docs/field_tables.py\n{result.stderr}"


def test_every_variable_of_the_environment_is_explained() -> None:
    page = (ROOT / "docs" / "files.md").read_text()
    code = "".join(file.read_text() for file in (ROOT / "gr00t_assets").rglob("*.py"))
    variables = set(re.findall(r"\bGR00T_ASSETS_[A-Z_]+\b", code)) - INTERNAL
    assert len(variables) > 8
    missing = sorted(name for name in variables if name not in page)
    assert not missing, f"docs/files.md does not explain {missing}"


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_a_reader_of_the_readme_sees_its_end() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_modules_that_the_pages_name_are_there() -> None:
    missing = [
        f"{page.name}: {path}"
        for page in PAGES
        for path in re.findall(
            r"`((?:gr00t_assets|benchmarks|docs|data)/[\w/.-]+\.(?:py|yaml))`", page.read_text()
        )
        if not (ROOT / path).exists() and "NAME" not in path and path not in LEFT_OUT
    ]
    assert not missing
