"""A short soak: a dozen experiments, half a dozen kills, and nothing lost or left."""

import importlib.util
import sys
from pathlib import Path

from gr00t_assets_tests.defs.project import CHECKOUT


def test_what_is_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path: Path):
    spec = importlib.util.spec_from_file_location("soak", CHECKOUT / "benchmarks" / "soak.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    soak, problems = module.soaked(
        tmp_path, experiments=12, every=0.6, kills=6, seed=1, dagster=False
    )
    assert problems == []
    assert sum(soak.struck.values()) >= 5
