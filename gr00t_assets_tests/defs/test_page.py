"""The page, by ``gr00t-assets dev`` and a real browser: launch an experiment, see its curve."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, sync_playwright

from gr00t_assets_tests.defs.dagster_dev import dagster_dev, session
from gr00t_assets_tests.defs.project import MODULE, Project, make_project
from gr00t_assets_tests.gpu.test_guard import wait_until
from gr00t_assets_tests.small_dataset import small_dataset

DATASET = "drawn"
EXPERIMENT = "page-lr1e-3"
CATALOG = {DATASET: small_dataset(1)}
SWEEPS = {
    "page": {
        "defaults": {
            "dataset": DATASET,
            "hyperparameters": {"batch_size": 2, "max_steps": 6, "logging_steps": 2},
        },
        "experiments": [
            {"name": EXPERIMENT, "hyperparameters": {"learning_rate": 1e-3}},
            {"name": "page-not-launched"},
        ],
    }
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 1_000


@pytest.fixture
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH: the page cannot be looked at")
    return found


@contextmanager
def served(project: Project) -> Iterator[str]:
    """The address of the page; what is left of its session when it was told to stop is an error."""
    with dagster_dev(project, MODULE) as page:
        yield page.address
        page.process.send_signal(signal.SIGINT)
        page.process.wait(240)
        assert wait_until(lambda: not session(page.process.pid), 120), session(page.process.pid)


def metadata(page: Page, label: str) -> Locator:
    """The row of the metadata table with exactly this label."""
    return page.get_by_role("row").filter(has=page.get_by_text(label, exact=True))


def is_drawn(image: Locator) -> bool:
    """Whether an image has been decoded; its width is that of the picture, not of the page."""
    image.wait_for(timeout=120 * SECONDS)
    return image.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")


def launch(page: Page, address: str) -> str:
    """Materialise the experiment as a person does; the id of its run."""
    page.goto(f"{address}/assets/checkpoint?view=partitions")
    page.get_by_text(EXPERIMENT, exact=True).first.click()
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(EXPERIMENT, exact=True).first.wait_for()
    dialog.get_by_role("button", name="Launch 1 run").click()
    page.get_by_text("Launched run").wait_for()
    page.get_by_role("link", name="View", exact=True).click()
    page.wait_for_url("**/runs/**")
    return page.url.split("/runs/")[1].split("?")[0]


@pytest.mark.cluster
def test_an_experiment_is_launched_on_the_page_and_shows_its_curve(tmp_path: Path, browser: str):
    project = make_project(tmp_path, CATALOG, SWEEPS)
    prepared = project.materialize("dataset,modality_config,frame_cache", DATASET)
    assert prepared.returncode == 0, prepared.stdout
    examined = project.materialize("training_environment", "native")
    assert examined.returncode == 0, examined.stdout
    errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.text} ({message.location})")

    with served(project) as address, sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(240 * SECONDS)
        page.on("console", listen)
        page.on("pageerror", lambda error: errors.append(str(error)))

        run = launch(page, address)
        page.get_by_text("Success", exact=True).first.wait_for(timeout=480 * SECONDS)
        page.get_by_role("button", name="View tags and config").click()
        page.get_by_role("dialog").get_by_text("gpu: true").wait_for()

        page.goto(f"{address}/assets/checkpoint?view=partitions&partition={EXPERIMENT}")
        shown = metadata(page, "final_loss").inner_text()
        assert is_drawn(metadata(page, "loss_line").get_by_role("img"))
        metadata(page, "loss_curve").get_by_text("[Show Markdown]").click()
        curve = page.get_by_role("dialog").get_by_role("img", name=f"loss of {EXPERIMENT}")
        assert is_drawn(curve)
        assert str(curve.get_attribute("src")).startswith("data:image/png;base64,")
        opened.close()

    with project.instance() as instance:
        launched = instance.get_run_by_id(run)
    assert launched is not None and launched.is_success
    assert launched.tags["gpu"] == "true"
    assert launched.tags["dagster/partition"] == EXPERIMENT
    assert float(shown.split()[-1]) > 0
    assert not errors
