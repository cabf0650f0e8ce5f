"""Every fault of the catalogue is reported somewhere, and nothing else is."""

import ast
import string
from pathlib import Path

import pytest

import gr00t_assets.datasets
from gr00t_assets.core.finding import Collector, UnknownFaultError
from gr00t_assets.datasets.lerobot.folder import FAULTS

SOURCES = sorted(Path(gr00t_assets.datasets.__path__[0]).rglob("*.py"))


def constants(node: ast.AST) -> set[str]:
    return {
        item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    }


def reported(tree: ast.AST) -> set[str]:
    """Names of faults in calls such as ``collector.report("row-count", ...)``."""
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
    ]
    return set().union(
        *(
            constants(call.args[0])
            for call in calls
            if isinstance(call.func, ast.Attribute)
            and (call.func.attr == "report" or ast.unparse(call.func) == "FAULTS.finding")
            and not isinstance(call.args[0], ast.JoinedStr)
        )
    )


def test_the_catalogue_and_the_checks_name_the_same_faults() -> None:
    trees = [ast.parse(path.read_text()) for path in SOURCES]
    names = set().union(*(reported(tree) for tree in trees)) - {"timestamp"}
    assert names <= set(FAULTS.faults)
    # The name is chosen before the call in some checks, and ``check-failed`` is the guard's.
    used = set().union(*(constants(tree) for tree in trees)) | {"check-failed"}
    assert set(FAULTS.faults) - used == set()


def test_every_fault_has_a_remedy_and_names_for_what_is_filled_in() -> None:
    for name, fault in FAULTS.faults.items():
        assert fault.remedy, name
        for text in (fault.expected, fault.remedy):
            assert all(field != "" for _, field, _, _ in string.Formatter().parse(text)), name
        assert fault.code == name or fault.code in {item.code for item in FAULTS.faults.values()}


def test_a_fault_that_the_catalogue_does_not_have_is_refused_at_once() -> None:
    collector = Collector(FAULTS)
    with pytest.raises(UnknownFaultError, match="no-such-fault"):
        collector.report("no-such-fault", None, "x")
    with pytest.raises(UnknownFaultError, match="fps"):
        collector.report("video-fps", "a.mp4", "12 frames a second")
    with pytest.raises(KeyError), collector.guard("a.mp4"):
        collector.report("no-such-fault", None, "x")
    assert not collector.findings()
