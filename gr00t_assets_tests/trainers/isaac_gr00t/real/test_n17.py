"""NVIDIA's own script of N1.7 on a CPU: killed, resumed, and its model opened on both sides.

``GR00T_ASSETS_TEST_ISAAC_N17_CHECKOUT`` names a checkout, ``GR00T_ASSETS_TEST_ISAAC_N17_PYTHON`` a
Python with what it imports. It was tried with 65cc4a1, transformers 4.57.3 and torch 2.13.
"""

import os
from pathlib import Path

import pytest

from gr00t_assets_tests.trainers.isaac_gr00t.n17_driving import (
    check_killed_and_resumed,
    check_opens,
    variables,
)
from gr00t_assets_tests.trainers.isaac_gr00t.n17_place import make_place

CHECKOUT, PYTHON = (f"GR00T_ASSETS_TEST_ISAAC_N17_{name}" for name in ("CHECKOUT", "PYTHON"))


@pytest.mark.skipif(
    not (os.environ.get(CHECKOUT) and os.environ.get(PYTHON)),
    reason=f"set {CHECKOUT} to a checkout of Isaac-GR00T N1.7 and {PYTHON} to its Python",
)
def test_nvidias_own_n17_is_driven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path / "project"))
    place = make_place(tmp_path / "project")
    checkout, python = Path(os.environ[CHECKOUT]).absolute(), os.environ[PYTHON]
    around = variables(place, checkout, python)
    spec = check_killed_and_resumed(place, checkout, around, "launcher", tmp_path / "killed")
    check_opens(place, spec)
