"""A page on which the outcome of one trial after the other is written down; it knows letters only.

It is to stand behind ``gr00t_assets.defs.page_guard``, which lets no other site in. Whoever opens
it, or posts to it, also has the token of the address that the command printed: another user of the
machine does not.
"""

import json
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gr00t_assets.core.errors import Gr00tAssetsError, TrialsError
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import has_lone_surrogate, printable
from gr00t_assets.evaluation.trials.plan import Trial, TrialPlan
from gr00t_assets.evaluation.trials.sheet import read_outcomes, write_outcome
from gr00t_assets.reporting.markdown import template_environment

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_MOST_BYTES = 16 << 10
"""Of a posted outcome."""

_FIELDS = ("success", "score", "seconds", "note")


def form_app(plan: TrialPlan, store: Store, token: str) -> "Starlette":
    """The page at ``/?token=TOKEN``, and ``POST /outcome`` with the header ``X-Token``.

    A post is a JSON object with ``order`` and the texts of ``_FIELDS``. Each outcome is in the
    plan's sheet, on the disk, before it is answered.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
    from starlette.routing import Route

    def is_known(given: str) -> bool:
        return secrets.compare_digest(given.encode(), token.encode())

    def page(request: "Request") -> "Response":
        if not is_known(request.query_params.get("token", "")):
            return PlainTextResponse("Open the address that the command printed.\n", 403)
        nonce = secrets.token_urlsafe(16)
        text = render_form(plan, store, token, request.query_params.get("trial", ""), nonce)
        policy = f"default-src 'none'; connect-src 'self'; script-src 'nonce-{nonce}'; "
        policy += f"style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; form-action 'none'"
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return HTMLResponse(text, headers={**headers, "Referrer-Policy": "no-referrer"})

    async def outcome(request: "Request") -> "Response":
        if not is_known(request.headers.get("x-token", "")):
            return JSONResponse({"error": "The token is missing, or is another one."}, 403)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                return JSONResponse({"error": "That is too long for an outcome."}, 413)
        try:
            order, cells = _posted(body)
            await run_in_threadpool(write_outcome, plan, store, order, cells)
        except Gr00tAssetsError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"written": order})

    routes = [Route("/", page, methods=["GET"]), Route("/outcome", outcome, methods=["POST"])]
    return Starlette(routes=routes)


def render_form(plan: TrialPlan, store: Store, token: str, asked: str, nonce: str) -> str:
    """The page with the trial that is asked for by its order, or else the next one."""
    problem, done = "", {}
    try:
        outcomes = read_outcomes(plan, plan.sheet_path(store))
        done = {outcome.order: outcome for outcome in outcomes.done}
    except Gr00tAssetsError as error:
        problem = str(error)
    is_trial = asked.isdecimal() and 0 < int(asked[:9]) <= len(plan.trials)
    trial = plan.trials[int(asked[:9]) - 1] if is_trial else next_trial(plan, list(done))
    shown = [(item, done.get(item.order)) for item in plan.trials]
    return (
        template_environment(autoescape=True)
        .get_template("trials_form.html.j2")
        .render(
            plan=plan,
            trial=trial,
            scene=printable(plan.words(trial.condition)) if trial else "",
            before=done.get(trial.order) if trial else None,
            trials=shown,
            count=len(done),
            problem=problem,
            token=token,
            nonce=nonce,
        )
    )


def next_trial(plan: TrialPlan, done: list[int]) -> Trial | None:
    """The first trial without an outcome after the last that has one, else the first without."""
    left = [trial for trial in plan.trials if trial.order not in done]
    later = (trial for trial in left if trial.order > max(done, default=0))
    return next(later, left[0] if left else None)


def _posted(body: bytes) -> tuple[int, dict[str, str]]:
    """The trial and the cells of a posted outcome.

    Raises:
        TrialsError: It is none.
    """
    content: Any = None
    with suppress(ValueError, RecursionError):
        content = json.loads(body)
    if not isinstance(content, dict) or content.keys() != {"order", *_FIELDS}:
        raise TrialsError("outcome", f"expected an object with order, {', '.join(_FIELDS)}.")
    cells = {name: content[name] for name in _FIELDS}
    if type(content["order"]) is not int or not all(
        isinstance(text, str) for text in cells.values()
    ):
        raise TrialsError("outcome", "expected a whole number as order, and texts.")
    if has_lone_surrogate(cells):
        raise TrialsError("outcome", "a text in it is no Unicode.")
    return content["order"], {name: " ".join(text.split()) for name, text in cells.items()}
