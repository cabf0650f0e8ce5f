"""A file is broken while a queue waits: all of it finishes, and the broken sweep once it is mended.

A backfill over both sweeps is in the queue of a real daemon, and one training in its slot.
"""

from collections.abc import Iterator

import pytest
import yaml

from gr00t_assets_tests.defs.dagster_dev import Page
from gr00t_assets_tests.defs.faults import until
from gr00t_assets_tests.defs.noop_project import MODULE, gate, noop_events, noop_project, noop_sweep
from gr00t_assets_tests.defs.recovery_project import powered

SIX = [f"six-{number}" for number in range(1, 7)]
HALF_SAVED = "defaults: {dataset: demo\nexperiments:\n  - name"
PARTITIONS = """
{ checkpoint: assetNodeOrError(assetKey: {path: ["checkpoint"]}) {
    ... on AssetNode { partitionKeys } } }
"""
BACKFILL = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    sweeps = {"six": noop_sweep(*SIX), "colleague": noop_sweep("theirs")}
    variables = {"GR00T_ASSETS_CPU_SLOTS": "1"}
    project = noop_project(tmp_path_factory.mktemp("broken"), sweeps, variables)
    with powered(project, MODULE) as page:
        yield page


def ended(page: Page) -> dict[str, list[str]]:
    """Statuses of each experiment's runs, the oldest first."""
    found: dict[str, list[str]] = {}
    for run in reversed(page.trainings()):
        found.setdefault(run["tags"]["dagster/partition"], []).append(run["status"])
    return found


@pytest.mark.cluster
@pytest.mark.parametrize("broken", ["sweeps/colleague.yaml", "datasets.yaml"])
def test_a_queue_of_six_finishes_whatever_file_is_broken(page: Page, broken: str):
    project, file = page.project, page.project.root / "data" / broken
    names = SIX if broken.startswith("sweeps") else [f"more-{number}" for number in range(1, 7)]
    if names is not SIX:
        write_sweep(page, "more", names)
    sound = file.read_text()
    gate(project, names[0]).touch()
    theirs = ["theirs"] if names is SIX else []
    backfill = page.backfill([*names, *theirs])
    started = [event["experiment"] for event in noop_events(project)]
    until(lambda: len(noop_events(project)) > len(started), page.log)
    until(lambda: len(ended(page).keys() & {*names, *theirs}) == len(names) + len(theirs), page.log)
    file.write_text(HALF_SAVED)
    until(lambda: f"warning: data/{broken}" in page.log(), page.log)
    gate(project, names[0]).unlink()

    def six_finished() -> bool:
        runs = ended(page)
        return all(runs[name][-1] == "SUCCESS" for name in names)

    until(six_finished, lambda: (ended(page), page.log()))
    if theirs:
        until(lambda: ended(page)["theirs"][:1] == ["FAILURE"], lambda: ended(page))
        run = page.launch("theirs")
        assert page.ends(run) == "FAILURE"
        assert "SweepError: data/sweeps/colleague.yaml:2: this is not YAML" in said(page, run)
    file.write_text(sound)
    if theirs:
        # The sensor asks for it again, once the file is mended.
        until(lambda: ended(page)["theirs"][-1] == "SUCCESS", lambda: (ended(page), page.log()))

    def backfill_status() -> str:
        return page.ask(BACKFILL, id=backfill)["partitionBackfillOrError"]["status"]

    over = {"COMPLETED_FAILED", "COMPLETED_SUCCESS", "FAILED", "CANCELED"}
    status = until(lambda: (now := backfill_status()) in over and now, backfill_status)
    assert status in ("COMPLETED_FAILED", "COMPLETED_SUCCESS"), page.log()


def write_sweep(page: Page, name: str, experiments: list[str]) -> None:
    """A new sweep, which is loaded by itself."""
    file = page.project.root / "data" / "sweeps" / f"{name}.yaml"
    file.write_text(yaml.safe_dump(noop_sweep(*experiments)))

    def is_loaded() -> bool:
        return experiments[-1] in page.ask(PARTITIONS)["checkpoint"].get("partitionKeys", [])

    until(is_loaded, page.log)


def said(page: Page, run: str) -> str:
    """The messages of a run's failed steps."""
    query = """
    query Events($run: ID!) { runOrError(runId: $run) { ... on Run {
      eventConnection { events { ... on ExecutionStepFailureEvent { error { message }
        failureMetadata { description } } } } } } }
    """
    return str(page.ask(query, run=run))
