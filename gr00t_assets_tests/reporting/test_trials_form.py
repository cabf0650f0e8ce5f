"""The form for outcomes: behind the page's guard, and in a real browser as it is served."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from starlette.testclient import TestClient

from gr00t_assets.core.project import Store
from gr00t_assets.defs.page_guard import PageGuard
from gr00t_assets.evaluation.trials.plan import TrialPlan
from gr00t_assets.evaluation.trials.sheet import read_outcomes
from gr00t_assets.reporting.trials import form_app, next_trial
from gr00t_assets_tests.evaluation.trials.conftest import PlanMaker, planned, store
from gr00t_assets_tests.reporting.test_html import BROWSERS

__all__ = ["planned", "store"]

TOKEN = "the-token"
MARKUP = "</script><script>document.title = 'taken'</script>\u202e"
SAID = {"order": 1, "success": "yes", "score": "", "seconds": "", "note": ""}


def client(plan: TrialPlan, store: Store) -> TestClient:
    return TestClient(PageGuard(form_app(plan, store, TOKEN)), base_url="http://127.0.0.1:8000")


def post(plan: TrialPlan, store: Store, said: object, **headers: str) -> tuple[int, str]:
    given = {"x-token": TOKEN, "origin": "http://127.0.0.1:8000", **headers}
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    sent = {name.replace("_", "-"): text for name, text in given.items()}
    answer = client(plan, store).post(
        "/outcome", content=content, headers={"content-type": "application/json", **sent}
    )
    return answer.status_code, answer.text


def test_an_outcome_is_written_before_it_is_answered(planned: PlanMaker, store: Store) -> None:
    plan = planned()
    assert post(plan, store, {**SAID, "score": "0.5", "note": MARKUP}) == (200, '{"written":1}')
    (outcome,) = read_outcomes(plan, plan.sheet_path(store)).done
    assert (outcome.order, outcome.success, outcome.score) == (1, True, 0.5)
    assert outcome.note == MARKUP


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x_token": ""}, 403),
        ({"x_token": "the-tokex"}, 403),
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"content_type": "text/plain"}, 415),
    ],
)
def test_nobody_else_writes(
    planned: PlanMaker, store: Store, headers: dict[str, str], status: int
) -> None:
    plan = planned()
    before = plan.sheet_path(store).read_bytes()
    assert post(plan, store, SAID, **headers)[0] == status
    assert plan.sheet_path(store).read_bytes() == before


@pytest.mark.parametrize(
    "said",
    [
        *(b"", b"[]", b"{", b"[" * 10_000, b'{"order": 1}', b"\xff\xfe"),
        *({**SAID, "order": order} for order in ("1", True, 0, 9, -1, 1.0, 10**30)),
        *({**SAID, "success": text} for text in ("perhaps", None, ["yes"], {"a": 1})),
        {**SAID, "score": "7"},
        {**SAID, "note": "\ud800"},
        {**SAID, "more": "x"},
    ],
)
def test_garbage_is_refused_in_words(planned: PlanMaker, store: Store, said: object) -> None:
    plan = planned()
    before = plan.sheet_path(store).read_bytes()
    status, text = post(plan, store, said)
    assert status == 400 and json.loads(text)["error"]
    assert plan.sheet_path(store).read_bytes() == before


def test_too_much_is_refused(planned: PlanMaker, store: Store) -> None:
    assert post(planned(), store, {**SAID, "note": "x" * (16 << 10)})[0] == 413


def test_the_page_needs_the_token_and_tells_no_policy(planned: PlanMaker, store: Store) -> None:
    plan = planned()
    served = client(plan, store)
    for path in ("/", "/?token=", "/?token=x", "/outcome?token=the-token", "/plan.json"):
        assert served.get(path).status_code in (403, 404, 405)
    page = served.get(f"/?token={TOKEN}")
    assert page.status_code == 200 and "can at place" in page.text
    assert "policy-0" not in page.text and plan.policies[0].model_hash not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for trial in ("0", "9", "x", "٣", "9" * 5000):
        assert "Policy " in served.get("/", params={"token": TOKEN, "trial": trial}).text


def test_a_sheet_that_cannot_be_read_is_told_on_the_page(planned: PlanMaker, store: Store) -> None:
    plan = planned()
    plan.sheet_path(store).write_text("order,success\n1,<b>perhaps</b>\n")
    page = client(plan, store).get(f"/?token={TOKEN}")
    assert page.status_code == 200
    assert "line 2: success: expected yes or no, found &#39;&lt;b&gt;perhaps" in page.text


def test_the_next_trial_is_the_one_after_the_last(planned: PlanMaker) -> None:
    plan = planned()

    def after(*done: int) -> int | None:
        trial = next_trial(plan, list(done))
        return trial and trial.order

    assert [after(), after(1), after(1, 3), after(3, 8)] == [1, 2, 4, 1]
    assert after(*range(1, 9)) is None


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH: no page can be opened")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def address(planned: PlanMaker, store: Store) -> Iterator[str]:
    """The page as the command serves it."""
    planned()
    code = "from gr00t_assets.cli.main import main; main()"
    command = [sys.executable, "-c", code, "trials", "form", "arm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        process.wait(30)


def ready(page: Page, order: int) -> None:
    page.get_by_text(f"Trial {order}", exact=True).wait_for()


def test_a_person_scores_in_a_browser(
    browser: Browser, address: str, planned: PlanMaker, store: Store, tmp_path: Path
) -> None:
    from gr00t_assets.evaluation.trials.plan import load_plan

    plan, page = load_plan("arm", store), browser.new_page()
    path = plan.sheet_path(store)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    ready(page, 1)
    assert page.locator(".letter").inner_text() == f"Policy {plan.trials[0].letter}"
    page.get_by_label("Note").fill(MARKUP)
    page.get_by_label("Seconds").fill("12,5")
    page.get_by_role("button", name="Success", exact=True).click()
    ready(page, 2)
    page.get_by_label("Score").fill("3")
    page.get_by_role("button", name="No success").click()
    page.get_by_text("trial 2: score: expected less than or equal to 1, found '3'").wait_for()
    page.get_by_label("Score").fill("0.25")
    page.get_by_role("button", name="No success").click()
    ready(page, 3)
    assert page.title() == "arm" and MARKUP in page.locator("table").inner_text()
    first, second = read_outcomes(plan, path).done
    assert (first.success, first.seconds, first.note) == (True, 12.5, MARKUP)
    assert (second.success, second.score) == (False, 0.25)
    page.get_by_role("link", name="1", exact=True).click()
    page.get_by_text("It has an outcome already, yes").wait_for()
    page.get_by_role("button", name="No success").click()
    ready(page, 3)
    assert [item.success for item in read_outcomes(plan, path).done] == [False, False]
    assert complaints == []
    page.close()


def test_another_page_in_the_same_browser_cannot_write(
    browser: Browser, address: str, planned: PlanMaker, store: Store
) -> None:
    port = int(address.split(":")[2].split("/")[0])
    token = address.split("token=")[1]
    page = browser.new_page()
    with socket.create_server(("127.0.0.1", 0)) as other:
        page.route("**/elsewhere", lambda route: route.fulfill(body="<p>elsewhere</p>"))
        page.goto(f"http://localhost:{other.getsockname()[1]}/elsewhere")
        answer = page.evaluate(
            """async ([port, token, said]) => {
                const options = { method: "POST", mode: "no-cors", body: JSON.stringify(said) };
                await fetch(`http://127.0.0.1:${port}/outcome`, options).catch(() => null);
                const headers = { "Content-Type": "application/json", "X-Token": token };
                options.mode = "cors";
                return fetch(`http://127.0.0.1:${port}/outcome`, { ...options, headers })
                  .then((answer) => answer.status, () => "refused");
            }""",
            [port, token, SAID],
        )
    assert answer == "refused"
    sheets = list(store.root.glob("trials/arm/*.csv"))
    assert sheets and ",yes," not in sheets[0].read_text()
    page.close()
