"""The report where policies were rolled out: its first screen, table, videos; and where not."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from gr00t_assets.cli.compare import print_comparison
from gr00t_assets.cli.output import console
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.rollouts.result import save_rollouts
from gr00t_assets.reporting.markdown import narrow_table
from gr00t_assets.reporting.report import Report, make_report
from gr00t_assets.runs.spec import make_spec
from gr00t_assets_tests.comparison.run_factory import experiment, losses, sweep, write_run
from gr00t_assets_tests.comparison.test_success_ranking import rolled
from gr00t_assets_tests.reporting.report_runs import finished_run

POLICIES = {"low-loss": (0.05, 9), "high-loss": (0.1, 41), "not-rolled": (0.07, None)}
VIDEO = b"RIFF\x1a\x00\x00\x00WEBPVP8L"


def report_of(store: Store, videos: tuple[str, ...] = ()) -> Report:
    """The report of three runs of which the one with the lowest loss succeeds least often."""
    items = [experiment(name, learning_rate=1e-4 * place) for place, name in enumerate(POLICIES, 1)]
    for item, (loss, successes) in zip(items, POLICIES.values(), strict=True):
        folder = write_run(item, store, losses(300, loss, 0.02))
        if successes is None:
            continue
        (folder / "rollouts" / "videos").mkdir(parents=True)
        for name in ("seed-1000-success", "secret"):
            (folder / "rollouts" / "videos" / f"{name}.webp").write_bytes(VIDEO)
        known = make_spec(item, store).config_hash
        run = finished_run(item.name)
        save_rollouts(rolled(run, successes, config_hash=known, videos=videos), folder)
    return make_report([sweep(*items)], store, imported=())


def test_the_first_screen_says_success_loss_and_whether_they_agree(store, tmp_path):
    videos = ("rollouts/videos/seed-1000-success.webp",)
    report = report_of(store, videos=videos).write()
    assert report.problems == ()
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium is on the PATH: the page cannot be looked at")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for width, height in ((1280, 900), (390, 844)):
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(report.path.as_uri())
            assert "high-loss, 41 of 50 (82 %, 69 to 90 %)" in page.locator("h1").inner_text()
            assert "replay, 4 of 50" in page.locator("h1").inner_text()
            for part in ("h1", ".agreement", ".card .best .loss"):
                box = page.locator(part).first.bounding_box()
                assert box and box["y"] >= 0 and box["y"] + box["height"] <= height, part
            agreement = page.locator("header .agreement").inner_text()
            assert "loss and success disagree" in agreement
            assert "Lower loss did not mean more success here" in agreement
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            names = page.locator("table.rollouts tbody .name").all_inner_texts()
            assert names == ["high-loss", "low-loss"]
            assert page.locator("table.rollouts .badge").first.inner_text() == "✓ beats every rule"
            order = page.locator("table.ranked tbody .name").all_inner_texts()
            assert order == ["high-loss", "low-loss", "not-rolled"]
            assert "Ranked by success in so101-pick, those without" in page.content()
            image = page.locator(".videos img").first
            assert (image.get_attribute("src") or "").startswith("data:image/webp;base64,")
        browser.close()


def test_only_videos_of_the_run_itself_are_shown(store):
    outside = store.root / "outside.webp"
    outside.write_bytes(VIDEO)
    names = ("../../../outside.webp", "manifest.json", "rollouts/videos/missing.webp")
    assert 'class="videos"' not in report_of(store, videos=names).page


def test_each_environment_has_the_videos_that_were_made_in_it(store):
    item, names = experiment("twice"), ("table", "shelf")
    folder = write_run(item, store, losses(300, 0.1))
    for name in names:
        video = folder / "rollouts" / "videos" / name / "seed-1000-success.webp"
        video.parent.mkdir(parents=True)
        video.write_bytes(VIDEO)
        made = rolled(
            finished_run(item.name), 9, config_hash=make_spec(item, store).config_hash,
            environment=name, videos=(video.relative_to(folder).as_posix(),),
        )  # fmt: skip
        save_rollouts(made, folder)
    page = make_report([sweep(item)], store, imported=()).page
    assert page.count('<div class="videos">') == len(names) == page.count('alt="seed 1000 success"')


def test_videos_beyond_the_room_of_the_page_are_linked(store, monkeypatch):
    monkeypatch.setattr("gr00t_assets.reporting.report.VIDEO_BYTES", 0)
    report = report_of(store, videos=("rollouts/videos/seed-1000-success.webp",))
    assert 'src="../runs/' in report.page
    link = report.page.partition('<img src="')[2].partition('"')[0]
    assert (report.path.parent / link).resolve().read_bytes() == VIDEO


def test_terminal_and_markdown_have_success_and_its_order(store, capsys):
    report = report_of(store)
    comparison = report.comparisons[0]
    table = narrow_table(comparison, comparison.ranked_classes[0])
    assert [(rank, tied) for rank, tied in table.ranks] == [(1, False), (2, False), (3, False)]
    assert [column.name for column in table.columns][:2] == ["success", "by_loss"]
    assert "Lower loss did not mean more success here" in report.markdown()
    assert "| 1 | high\\-loss |" in report.markdown() or "| 1 | high-loss |" in report.markdown()
    print_comparison(comparison, console())
    printed = capsys.readouterr().out
    assert "41 of 50" in printed and "ranked by success in so101-pick" in printed


def test_unreadable_rollouts_keep_nothing_else_from_the_report(store):
    report_of(store)
    for file in store.root.glob("runs/**/rollouts/so101-pick.json"):
        file.write_text("{")
    items = [experiment(name, learning_rate=1e-4 * place) for place, name in enumerate(POLICIES, 1)]
    report = make_report([sweep(*items)], store, imported=())
    assert len(report.problems) == 2 and all("rollout" in text for text in report.problems)
    assert report.verdict.startswith("Lowest loss of 3 finished runs")


def test_without_rollouts_one_sentence_says_how_to_get_them(store):
    item = experiment("alone")
    write_run(item, store, losses(300, 0.1))
    page = make_report([sweep(item)], store, imported=()).page
    assert page.count("gr00t-assets rollout") == 1
    assert "Success in rollouts" not in page


def test_an_equal_run_of_another_sweep_takes_no_success_away(store):
    report_of(store)
    items = [experiment(name, learning_rate=1e-4 * place) for place, name in enumerate(POLICIES, 1)]
    twin = items[1].model_copy(update={"name": "twin", "sweep": "other"})
    write_run(twin, store, losses(300, 0.1, 0.02))
    assert make_spec(twin, store).config_hash == make_spec(items[1], store).config_hash
    report = make_report([sweep(*items), sweep(twin, name="other")], store, imported=())
    own, measured = report.runs_of([items[0].sweep]), report.comparisons[0]
    with_rollouts = {run.name for run in own if run.run_id in measured.rollouts}
    assert with_rollouts == {"low-loss", "high-loss"}
