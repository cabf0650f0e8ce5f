"""Two machines' daemons on one PostgreSQL and one store: each experiment trains once."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gr00t_assets_tests.defs.dagster_dev import dagster_dev
from gr00t_assets_tests.defs.noop_project import gate, noop_events, noop_project, noop_sweep
from gr00t_assets_tests.defs.postgres import postgres, postgres_lacks, use_postgres
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.gpu.test_guard import wait_until

pytestmark = pytest.mark.cluster

NAMES = [f"run-{number}" for number in range(6)]


def clones(folder: Path, url: str) -> tuple[Project, Project]:
    """Two clones of one project that share the store of the first, and its log of trainings."""
    slots = {"GR00T_ASSETS_CPU_SLOTS": "2", "NOOP_STEP_SECONDS": "0.5"}
    first = noop_project(folder / "first", {"s": noop_sweep(*NAMES, steps=3)}, slots)
    shared = {**first.variables, "GR00T_ASSETS_STORE": str(first.store.root)}
    second = noop_project(folder / "second", {"s": noop_sweep(*NAMES, steps=3)}, shared)
    second = Project(second.root, {**second.variables, **shared})
    for project in (first, second):
        use_postgres(project, url)
    return first, second


def trainings(project: Project) -> Counter[str]:
    return Counter(
        event["experiment"] for event in noop_events(project) if event["event"] == "start"
    )


@pytest.mark.skipif(postgres_lacks() is not None, reason=str(postgres_lacks()))
def test_two_clones_ask_for_the_same_and_nothing_trains_twice(tmp_path: Path):
    with TemporaryDirectory(dir="/var/tmp") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)  # PostgreSQL's user comes in here.
        url = stack.enter_context(postgres(Path(folder, "postgres")))
        first, second = clones(tmp_path, url)
        for name in NAMES[:2]:
            gate(first, name).touch()
        with dagster_dev(first) as page, dagster_dev(second) as other:
            asked = [page.launch(name) for name in NAMES] + [other.launch(name) for name in NAMES]
            assert wait_until(lambda: set(trainings(first)) >= set(NAMES[:2]), 300)
            for name in NAMES[:2]:
                gate(first, name).unlink()
            statuses = {run: page.ends(run) for run in asked}
            assert {run["runId"] for run in other.trainings()} >= set(asked)
        assert set(statuses.values()) == {"SUCCESS"}, statuses
        assert trainings(first) == Counter(dict.fromkeys(NAMES, 1))
