"""A page on which the outcome of one trial after the other is written down; it knows letters only.

It is to stand behind ``gr00t_assets.defs.page_guard``, which lets no other site in. Whoever opens
it, or posts to it, also has the token of the address that the command printed: another user of the
machine does not.
"""

import secrets
from collections.abc import Collection
from typing import TYPE_CHECKING

from pydantic import ConfigDict, ValidationError

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import printable
from gr00t_assets.evaluation.trials.outcomes import read_outcomes, write_outcome
from gr00t_assets.evaluation.trials.plan import Trial, TrialPlan
from gr00t_assets.reporting.markdown import template_environment

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_MOST_BYTES = 16 << 10
"""Of a posted outcome."""


class _Post(FrozenModel):
    """A trial and the cells of its row."""

    model_config = ConfigDict(strict=True)

    order: int
    success: str
    score: str
    seconds: str
    note: str


def form_app(plan: TrialPlan, store: Store, token: str) -> "Starlette":
    """The page at ``/?token=TOKEN``, and ``POST /outcome`` of a ``_Post`` with ``X-Token``.

    Each outcome is in the plan's sheet, on the disk, before it is answered.
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
        problem, done = "", {}
        try:
            outcomes = read_outcomes(plan, plan.sheet_path(store))
            done = {outcome.order: outcome for outcome in outcomes.done}
        except Gr00tAssetsError as error:
            problem = str(error)
        orders = {str(trial.order): trial for trial in plan.trials}
        trial = orders.get(request.query_params.get("trial", "")) or next_trial(plan, done)
        template = template_environment(autoescape=True).get_template("trials_form.html.j2")
        text = template.render(
            plan=plan, trial=trial, scene=printable(plan.words(trial.condition)) if trial else "",
            done=done, before=done.get(trial.order) if trial else None, problem=problem,
            token=token, nonce=(nonce := secrets.token_urlsafe(16)),
        )  # fmt: skip
        policy = f"default-src 'none'; connect-src 'self'; script-src 'nonce-{nonce}'; "
        policy += f"style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; form-action 'none'"
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return HTMLResponse(text, headers={**headers, "Referrer-Policy": "no-referrer"})

    async def outcome(request: "Request") -> "Response":
        if not is_known(request.headers.get("x-token", "")):
            return JSONResponse({"error": "The token is missing, or is another one."}, 403)
        if int(request.headers.get("content-length", _MOST_BYTES + 1)) > _MOST_BYTES:
            return JSONResponse({"error": "That is too long for an outcome."}, 413)
        try:
            post = _Post.model_validate_json(await request.body())
            cells = post.model_dump(exclude={"order"})
            await run_in_threadpool(write_outcome, plan, store, post.order, cells)
        except ValidationError as error:
            return JSONResponse({"error": f"This is no outcome: {error.errors()[0]['msg']}."}, 400)
        except Gr00tAssetsError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"written": post.order})

    routes = [Route("/", page, methods=["GET"]), Route("/outcome", outcome, methods=["POST"])]
    return Starlette(routes=routes)


def next_trial(plan: TrialPlan, done: Collection[int]) -> Trial | None:
    """The first trial without an outcome after the last that has one, else the first without."""
    left = [trial for trial in plan.trials if trial.order not in done]
    later = (trial for trial in left if trial.order > max(done, default=0))
    return next(later, left[0] if left else None)
