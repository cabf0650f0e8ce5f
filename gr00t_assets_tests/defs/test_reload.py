"""A real ``gr00t-assets dev``: what is saved in the project's files is on the page by itself."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from gr00t_assets.defs.project_checks import CHECK
from gr00t_assets_tests.defs.dagster_dev import Page, dagster_dev
from gr00t_assets_tests.defs.faults import until
from gr00t_assets_tests.defs.noop_project import noop_project, noop_sweep

PATIENCE = 180
"""Seconds; it takes some ten where nothing else runs."""
HALF_SAVED = "defaults: {dataset: demo\nexperiments:\n  - name"

STATE = """
{
  workspaceOrError { ... on Workspace { locationEntries {
    locationOrLoadError { __typename ... on PythonError { message } } } } }
  checkpoint: assetNodeOrError(assetKey: {path: ["checkpoint"]}) {
    ... on AssetNode { partitionKeys } }
  files: assetNodeOrError(assetKey: {path: ["project_files"]}) { ... on AssetNode {
    assetChecksOrError { ... on AssetChecks { checks { name
      executionForLatestMaterialization { status evaluation { description } } } } } } }
  schedulesOrError(repositorySelector:
      {repositoryName: "__repository__", repositoryLocationName: "LOCATION"}) {
    ... on Schedules { results { name cronSchedule } } }
}
"""


class State:
    """What the page says of the project just now."""

    def __init__(self, page: Page) -> None:
        answer = page.ask(STATE.replace("LOCATION", page.module))
        (entry,) = answer["workspaceOrError"]["locationEntries"]
        self.loaded = entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"
        self.partitions = answer["checkpoint"].get("partitionKeys", [])
        checks = answer["files"].get("assetChecksOrError", {}).get("checks", [])
        found = {item["name"]: item["executionForLatestMaterialization"] for item in checks}
        check = found.get(CHECK) or {"status": None, "evaluation": None}
        self.check = check["status"]
        self.says = (check["evaluation"] or {}).get("description") or ""
        self.schedules = [item["name"] for item in answer["schedulesOrError"].get("results", [])]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    project = noop_project(tmp_path_factory.mktemp("reload"), {"old": noop_sweep("old-1")})
    with dagster_dev(project) as page:
        yield page


def within(page: Page, condition: Callable[[State], bool], seconds: float = PATIENCE) -> State:
    """Wait until the page says so; the location is loaded all the time."""

    def now() -> State | None:
        state = State(page)
        assert state.loaded, page.log()
        return state if condition(state) else None

    return until(now, lambda: (vars(State(page)), page.log()), seconds)


def folder(page: Page) -> Path:
    return page.project.root / "data" / "sweeps"


@pytest.mark.cluster
def test_what_is_saved_is_on_the_page_within_half_a_minute(page: Page):
    within(page, lambda state: state.check == "SUCCEEDED")
    text = yaml.safe_dump(noop_sweep("new-1", "new-2", schedule="0 20 * * *"))
    (folder(page) / "new.yaml").write_text(text)
    state = within(page, lambda state: "new-2" in state.partitions)
    assert state.partitions == ["new-1", "new-2", "old-1"]
    assert state.schedules == ["sweep_new"]
    run = page.launch("new-1")
    assert page.ends(run) == "SUCCESS", page.log()

    (folder(page) / "new.yaml").write_text(HALF_SAVED)
    state = within(page, lambda state: state.check == "FAILED" and not state.schedules)
    assert state.says == "with a fault: data/sweeps/new.yaml"
    assert state.partitions == ["old-1", "new-1", "new-2"], "what it had stays a partition"
    assert "warning: data/sweeps/new.yaml:2: this is not YAML" in page.log()
    assert page.ends(page.launch("old-1")) == "SUCCESS", page.log()

    (folder(page) / "new.yaml").write_text(text.replace("new-2", "new-3"))
    state = within(page, lambda state: state.check == "SUCCEEDED" and "new-3" in state.partitions)
    assert state.partitions == ["new-1", "new-3", "old-1"]
    (folder(page) / "new.yaml").unlink()
    within(page, lambda state: state.partitions == ["old-1"])


def test_a_person_or_a_service_may_ask_for_it_too(page: Page):
    command = [sys.executable, "-m", "gr00t_assets.cli.main", "reload", "--url"]
    result = page.project.run(*command, page.address)
    assert result.returncode == 0, result.stdout
    assert result.stdout == f"loaded again: {page.module}\n"
    result = page.project.run(*command, "http://127.0.0.1:9")
    assert result.returncode == 1
    assert "PageError: http://127.0.0.1:9: no page of Dagster answers there." in result.stdout
