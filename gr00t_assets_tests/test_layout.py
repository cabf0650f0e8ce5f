"""The map of the house, guarded: each test says in one message what broke and where."""

import ast
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gr00t_assets"
MOST_LINES_OF_A_MODULE = 300
MOST_LINES = 60_800
"""The rebuild aims at 40,000 before new capabilities: lower it with every change that allows it."""

MOST_MODULES = 306
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "av",
    "wandb",
    "ray",
    "optuna",
    "matplotlib",
    "plotly",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
    "statsmodels",
    "pyarrow",
    "pandas",
    "packaging.requirements",
)
GLOSSARY_ROW = re.compile(r"^\| ([a-z][a-z -]+) \| .* \| `(gr00t_assets/[^`]+)` \|$", re.MULTILINE)


def modules() -> dict[str, list[str]]:
    """Lines of every module by its path, but for an ``__init__.py`` that only has a docstring."""
    texts = {str(file.relative_to(ROOT)): file.read_text().splitlines() for file in sources()}
    return {path: lines for path, lines in texts.items() if len(lines) > 3}


def sources() -> Iterator[Path]:
    return (file for file in sorted(PACKAGE.rglob("*.py")) if "__pycache__" not in file.parts)


def test_imports_point_down_and_run_in_no_circle() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    assert result.returncode == 0, result.stdout


def test_no_module_is_longer_than_a_reader_likes() -> None:
    long = {
        path: len(lines) for path, lines in modules().items() if len(lines) > MOST_LINES_OF_A_MODULE
    }
    assert not long, f"split these, or say less: {long}"


def test_the_house_is_of_a_size_that_fits_in_a_head() -> None:
    counts = [len(lines) for lines in modules().values()]
    size = f"{sum(counts)} lines in {len(counts)} modules, median {statistics.median(counts)}"
    assert sum(counts) <= MOST_LINES and len(counts) <= MOST_MODULES, size
    assert 120 <= statistics.median(counts) <= 210, size


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("gr00t_assets.definitions", HEAVY),
        # A slot stands idle while its guard starts.
        ("gr00t_assets.gpu.guard", ("pydantic", "dagster", "numpy", *HEAVY)),
    ],
)
def test_what_starts_often_loads_without_heavy_packages(
    module: str, heavy: tuple[str, ...]
) -> None:
    program = f"import sys, {module}; print(*sorted(set(sys.modules) & set({heavy})))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    assert not result.stdout.strip(), f"loading {module} imports {result.stdout.strip()}"


def test_own_modules_are_imported_at_the_top() -> None:
    heavy = heavy_modules()
    hidden = [
        f"{path}: {name}"
        for path, tree in trees().items()
        for name in imported(ast.walk(tree)) - imported(top_level(tree))
        if name.startswith("gr00t_assets") and module_of(name) not in heavy
    ]
    message = "imports inside functions are for what imports torch and the like, and hide arrows:"
    assert not hidden, "\n  ".join([message, *hidden])


def trees() -> dict[str, ast.Module]:
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in sources()}


def top_level(tree: ast.Module) -> Iterator[ast.AST]:
    """Statements that run on import, those under ``if`` and ``try`` included."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            pending += node.body


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module_of(name: str) -> str:
    """Path of the module that an imported name is in, or is."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        stem = "/".join(parts[:length])
        for path in (f"{stem}.py", f"{stem}/__init__.py"):
            if (ROOT / path).is_file():
                return path
    return ""


def heavy_modules() -> set[str]:
    """Paths of own modules that import a heavy package when they are imported."""
    imports = {path: imported(top_level(tree)) for path, tree in trees().items()}
    prefixes = tuple(f"{package}." for package in HEAVY)
    heavy = {
        path
        for path, names in imports.items()
        if any(f"{name}.".startswith(prefixes) for name in names)
    }
    while True:
        more = {path for path, names in imports.items() if {module_of(n) for n in names} & heavy}
        if more <= heavy:
            return heavy
        heavy |= more


def test_words_of_the_glossary_are_in_use() -> None:
    rows = GLOSSARY_ROW.findall((ROOT / "docs" / "glossary.md").read_text())
    assert len(rows) > 15
    unused = []
    for word, place in rows:
        files = [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py"))
        text = " ".join(file.read_text().lower() for file in files if file.is_file())
        if not re.search(word.replace(" ", r"[ _\n]*"), text):
            unused.append(f"{word!r} in {place}")
    assert not unused, f"words of docs/glossary.md that their module does not use: {unused}"
