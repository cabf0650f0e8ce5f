"""Trials on a robot: a page on which outcomes are written down, and what they say.

The page knows letters only. It is to stand behind ``gr00t_assets.defs.page_guard``, which lets no
other site in. Whoever opens it, or posts to it, also has the token of the address that the command
printed: another user of the machine does not.

A pair is compared by McNemar's exact test over the blocks in which each was tried once, which by
the plan are all; where more than a fifth of the trials has no such partner, by Barnard's over all.
It is settled where the sequential test, which holds its level at any number of looks, says so, or
at the end of the plan McNemar's or Barnard's. Together the two are wrong in at most 6 of 100 plans
of up to 200 blocks (``test_trials_report.py``). All are corrected for the number of pairs (Holm).
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, ValidationError

from gr00t_assets.comparison.statistics.effects import holm
from gr00t_assets.comparison.statistics.success import (
    LEVEL,
    MOST_ROLLOUTS,
    SuccessEstimate,
    SuccessPair,
    compared,
)
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import printable
from gr00t_assets.evaluation.intervals import SuccessRate
from gr00t_assets.evaluation.trials.outcomes import (
    Outcomes,
    TrialOutcome,
    read_outcomes,
    write_outcome,
)
from gr00t_assets.evaluation.trials.plan import Trial, TrialPlan
from gr00t_assets.reporting.markdown import template_environment

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_MOST_BYTES = 16 << 10  # Of a posted outcome


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


_PAIRED = 0.8  # Share of each one's trials that have a partner where two are paired
_DONE = 0.9  # Share of a policy's trials that were done at the end of a plan; some cannot be judged


class PolicyOutcome(SuccessRate):
    """What came of the trials of one policy; means are None where nothing was written down."""

    letter: str
    score: float | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class PolicyPair(SuccessPair):
    """The second policy against the first, with p values by Holm."""

    letters: tuple[str, str]  # Of both
    blocks: int  # In which both were tried; 0 where they are not paired
    trials: int  # Of the policy that was tried less
    is_complete: bool  # Whether the end of the plan was reached, with few trials left out

    @property
    def is_settled(self) -> bool:
        """Whether one is known to succeed more often, however often somebody looked."""
        looked = self.sequential_p is not None and self.sequential_p < LEVEL
        return looked or (self.is_complete and self.told_apart)

    def sentences(self, names: Mapping[str, str]) -> str:
        """What is known of the pair, how, and what to do; ``names`` by letter."""
        first, second = (names[letter] for letter in self.letters)
        where = f"over {self.blocks} shared conditions" if self.blocks else "over all trials"
        text = (
            f"{second} against {first}: {self.words}, p = {self.p_value:.2g} ({self.test} "
            f"{where}); with looks at any time p = {self.sequential_p:.2g}. "
        )
        if self.is_settled:
            return f"{text}It is settled which of them succeeds more often."
        go_on = "" if self.is_complete else " yet; go on to the end of the plan"
        needed = f"over {MOST_ROLLOUTS:,}" if self.rollouts is None else f"about {self.rollouts}"
        return (
            f"{text}It is not settled{go_on}. To tell rates like these apart takes {needed} trials "
            f"of each; {self.trials} are done."
        )


def trials_report(
    plan: TrialPlan, outcomes: Outcomes
) -> tuple[list[PolicyOutcome], list[PolicyPair]]:
    """What is known so far of each policy, by letter, and of every two that were tried."""
    ended = any(item.order == len(plan.trials) for item in outcomes.done)
    enough = _DONE * len(plan.trials) / len(plan.policies)
    done = {
        policy.letter: [item for item in outcomes.done if item.letter == policy.letter]
        for policy in plan.policies
    }
    policies = [
        PolicyOutcome(
            letter=letter,
            successes=sum(item.success for item in trials),
            episodes=len(trials),
            score=_mean(item.score for item in trials),
            seconds=_mean(item.seconds for item in trials),
        )
        for letter, trials in done.items()
    ]
    pairs = []
    for letters in combinations([letter for letter, trials in done.items() if trials], 2):
        found = _pair(*(done[letter] for letter in letters))
        is_complete = ended and found["trials"] >= enough
        pairs.append(PolicyPair(letters=letters, is_complete=is_complete, **found))
    fixed = holm([pair.p_value for pair in pairs])
    looked = holm([pair.sequential_p or 0.0 for pair in pairs])
    return policies, [
        replace(pair, p_value=p_value, sequential_p=sequential_p)
        for pair, p_value, sequential_p in zip(pairs, fixed, looked, strict=True)
    ]


def _pair(first: Sequence[TrialOutcome], second: Sequence[TrialOutcome]) -> dict[str, Any]:
    """Fields of the comparison of two policies; blocks that both were tried in, if paired."""
    here, there = _by_block(first), _by_block(second)
    shared = [block for block in here if block in there]
    if len(shared) >= _PAIRED * max(len(first), len(second)):
        sides = [{at: side[block] for at, block in enumerate(shared)} for side in (here, there)]
    else:  # keys that are nowhere the same: independent
        shared = []
        sides = [{sign * item.order: item.success for item in side}
                 for sign, side in ((1, first), (-1, second))]  # fmt: skip
    pair = asdict(compared(*(SuccessEstimate((side,)) for side in sides)))
    return {**pair, "blocks": len(shared), "trials": min(len(first), len(second))}


def _by_block(outcomes: Sequence[TrialOutcome]) -> dict[tuple[int, int], bool]:
    """Success by condition and repeat, where there was one trial, in order."""
    blocks = [(item.condition, item.repeat) for item in outcomes]
    pairs = zip(blocks, outcomes, strict=True)
    return {block: item.success for block, item in pairs if blocks.count(block) == 1}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
