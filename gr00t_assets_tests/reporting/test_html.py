"""The page in a real browser, offline: first screen, sorting, filter, plots, keyboard, phone."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from gr00t_assets.comparison.comparison import compare
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.reporting.html import render_page
from gr00t_assets.reporting.report import in_order
from gr00t_assets_tests.reporting.report_runs import compared, evaluation, finished_run, replicated

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MARKUP = "<script>alert(1)</script>"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH: the page cannot be looked at")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def text() -> str:
    """A page with replicates, a failed run, names that are markup, evaluations and imports."""
    rates = (2e-3, 3e-3, 4e-3, 5e-3)
    more = [finished_run(f"more-{rate:g}", 10 * rate, learning_rate=rate) for rate in rates]
    more[1] = replace(more[1], samples_per_second=210.0, gpu_hours=1.25)
    wide = finished_run("batch-1", 0.2, batch_size=1, note=MARKUP)
    failed = replace(finished_run("broken"), status="failed", loss=None, note="it stopped")
    runs = [*replicated(), *more, wide, failed]
    evaluations = {run.run_id: evaluation(run, 0.1) for run in runs[:1]}
    table = [
        replace(finished_run(name, loss, curve=False, learning_rate=rate), source="table",
                run_id=name, name=f"was-{name}", frames="known wrong",
                loss=Loss(loss, loss / 3, 10, "one logged value"))
        for name, loss, rate in (("one", 0.06, 1e-4), ("two", 0.07, 5e-4))
    ]  # fmt: skip
    imported = compare(in_order(table), key="imported", title="Imported runs")
    return render_page([compared(*runs, evaluations=evaluations), imported], [], [])


@pytest.fixture
def opened(browser: Browser, text: str, tmp_path: Path) -> Iterator[Page]:
    """The page, opened from disk without a network; whatever it complains of fails the test."""
    file = tmp_path / "report.html"
    file.write_text(text)
    context = browser.new_context(viewport=DESK, offline=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(120_000)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    yield page
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def in_first_screen(page: Page, selector: str) -> bool:
    box = page.locator(selector).first.bounding_box()
    assert box is not None and page.viewport_size is not None
    return box["y"] >= 0 and box["y"] + box["height"] <= page.viewport_size["height"]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_first_screen_has_the_best_whether_it_is_known_and_what_is_next(opened, size):
    opened.set_viewport_size(size)
    assert opened.locator(".card .name").inner_text() == "more-0.002"
    for part in ("h1", ".card .best", ".card .known .badge", ".next"):
        assert in_first_screen(opened, part), part
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_scrolls_sideways_but_a_table_on_a_phone(browser, tmp_path, size):
    """Also with long names, every setting that may vary, and numbers of many digits."""
    runs = [
        finished_run(
            f"night-sweep-of-the-kitchen-robot-b{size}-lr{rate:g}-{place}", 0.05 + 10 * rate,
            learning_rate=rate, batch_size=size, weight_decay=place / 900,
            lr_scheduler_type=("cosine", "constant_with_warmup")[place % 2], seed=place,
            warmup_ratio=0.0123 + rate, max_steps=12000, samples_seen=12000 * size,
            curve=False, gpu_hours=123.45, samples_per_second=1234.5,
            augmentation=("none", "gr00t")[size % 2], note="a note of its author",
        )
        for rate in (1.23456e-4, 2.34567e-4) for size in (8, 9) for place in range(3)
    ]  # fmt: skip
    evaluations = {run.run_id: evaluation(run, 0.1234) for run in runs}
    comparison = compared(*runs, evaluations=evaluations)
    file = tmp_path / "wide.html"
    file.write_text(render_page([comparison], [], []))
    page = browser.new_page(viewport=size)
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-plots=ready]", state="attached")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    wider = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth)"
        ".map(box => box.getAttribute('aria-label'))"
    )
    assert wider == [] or size == PHONE
    page.close()


def test_nothing_from_a_file_becomes_markup(text):
    assert MARKUP not in text
    assert "alert(1)" in text


def test_the_ranked_table_sorts_by_keyboard_and_filters(opened):
    names = opened.locator("table.ranked").first.locator("tbody tr:visible .name")
    assert names.first.inner_text().startswith("more-0.002")
    button = opened.locator("table.ranked").first.get_by_role("button", name="batch size")
    button.focus()
    opened.keyboard.press("Enter")
    assert names.first.inner_text() == "batch-1"
    field = opened.get_by_label("Filter").first
    field.fill("batch size=8, more")
    assert names.count() == 4
    assert opened.locator(".filter output").first.inner_text() == "4 of 7 configurations"
    field.fill("batch size=1")
    assert names.all_inner_texts() == ["batch-1"]
    field.fill("")
    assert names.count() == 7


def test_curves_are_drawn_by_samples_and_by_share_of_the_schedule(opened):
    plot = opened.locator("figure:has(.switch) .plot").first
    plot.scroll_into_view_if_needed()
    plot.locator(".scatterlayer .js-line").first.wait_for()
    assert plot.locator(".scatterlayer .js-line").count() == 7
    assert plot.evaluate("plot => plot.layout.xaxis.range[1]") > 700
    opened.get_by_role("button", name="share of the schedule").first.click()
    assert plot.locator(".xtitle").text_content() == "share of the schedule"
    assert opened.locator(".modebar").count() == 0, "no toolbar over the plots"
    assert plot.evaluate("plot => plot.layout.xaxis.range[1]") < 120


def test_what_limits_the_answers_is_said_once(opened):
    said = opened.locator("#answers li").all_inner_texts()
    assert any("one seed" in sentence for sentence in said), said
    assert len(said) == len(set(said))


def test_a_verdict_is_a_symbol_and_a_word(opened):
    badges = opened.locator("table.effects .badge").all_text_contents()
    assert badges and all(len(badge.split(maxsplit=1)) == 2 for badge in badges)
    assert any(badge.endswith("controlled") for badge in badges)
    symbols = {badge.split()[0] for badge in badges}
    assert len(symbols) == len({badge.split(maxsplit=1)[1] for badge in badges})


def test_imports_stand_apart_with_wrong_frames_marked_and_failed_runs_are_not_ranked(opened):
    imported = opened.locator("section#imported")
    assert imported.locator(".flag").first.inner_text() == "▲ trained on wrong frames"
    assert imported.locator("table.ranked .name").all_inner_texts() == ["one", "two"]
    store = opened.locator("section#store")
    assert "broken" not in store.locator("table.ranked .name").all_inner_texts()
    assert "one" not in store.locator("table.ranked .name").all_inner_texts()


def test_evaluations_are_drawn_and_neither_is_called_success(opened):
    heading = opened.get_by_role("heading", name="Open-loop evaluation, on episodes held out")
    heading.scroll_into_view_if_needed()
    opened.locator("figure .plot .errorbars, figure .plot .xerror").first.wait_for(state="attached")
    assert "not success on a robot" in opened.locator("section#store").inner_text() or (
        "Neither a training loss nor an open-loop error is success on a robot."
        in opened.locator("footer").inner_text()
    )


def test_print_shows_every_plot_opens_folds_and_hides_what_is_pressed(opened):
    opened.wait_for_selector("html[data-plots=ready]", state="attached")
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.locator("details:not([open])").count() == 0
    opened.wait_for_function(
        "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('svg'))"
    )
    opened.emulate_media(media="print")
    assert not opened.locator(".switch").first.is_visible()
    assert not opened.locator("nav").is_visible()
    assert opened.locator(".card .name").first.is_visible()
    opened.set_viewport_size({"width": 700, "height": 1000})  # A4 without its margins
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.locator("details:not([open])").count() > 0


def test_dark_is_dark(opened):
    opened.emulate_media(color_scheme="dark")
    color = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in color[4:-1].split(",")) < 60


def test_the_page_of_nothing_says_so(browser):
    assert "No experiment has a run yet." in render_page([], [], [])
    assert len(render_page([], [], [])) < 40_000
