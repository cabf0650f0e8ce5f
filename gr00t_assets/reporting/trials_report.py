"""What trials on a robot say: success of each policy, pairs of them, and whether to go on.

A pair is compared by McNemar's exact test over the blocks in which each was tried once, which by
the plan are all; where more than a fifth of the trials has no such partner, by Barnard's over all.
It is settled where the sequential test, which holds its level at any number of looks, says so, or
at the end of the plan McNemar's or Barnard's. Together the two are wrong in at most 6 of 100 plans
of up to 200 blocks (``test_trials_report.py``). All are corrected for the number of pairs (Holm).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from statistics import fmean

from gr00t_assets.comparison.statistics.success import LEVEL, MOST_ROLLOUTS, holm
from gr00t_assets.comparison.statistics.success_pairs import SuccessEstimate, SuccessPair, compared
from gr00t_assets.evaluation.intervals import SuccessRate
from gr00t_assets.evaluation.trials.outcomes import Outcomes, TrialOutcome
from gr00t_assets.evaluation.trials.plan import TrialPlan

_PAIRED = 0.8
"""Share of the trials of each of two policies that have a partner where they are paired."""

_DONE = 0.9
"""Share of a policy's trials that were done at the end of a plan; some cannot be judged."""


class PolicyOutcome(SuccessRate):
    """What came of the trials of one policy; means are None where nothing was written down."""

    letter: str
    score: float | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class PolicyPair(SuccessPair):
    """The second policy against the first, with p values by Holm.

    Attributes:
        letters: Of both.
        blocks: In which both were tried; 0 where they are not paired.
        trials: Of the policy that was tried less.
        is_complete: Whether the end of the plan was reached, with few trials left out.
    """

    letters: tuple[str, str]
    blocks: int
    trials: int
    is_complete: bool

    @property
    def is_settled(self) -> bool:
        """Whether one is known to succeed more often, however often somebody looked."""
        looked = self.sequential_p is not None and self.sequential_p < LEVEL
        return looked or (self.is_complete and self.told_apart)

    def sentences(self, names: Mapping[str, str]) -> str:
        """What is known of the pair, how, and what to do; ``names`` by letter."""
        first, second = (names[letter] for letter in self.letters)
        where = f"over {self.blocks} shared conditions" if self.blocks else "over all trials"
        said = (
            f"{second} against {first}: {self.words}, p = {self.p_value:.2g} ({self.test} "
            f"{where}); with looks at any time p = {self.sequential_p:.2g}. "
        )
        if self.is_settled:
            return f"{said}It is settled which of them succeeds more often."
        said += (
            f"It is not settled{'' if self.is_complete else ' yet; go on to the end of the plan'}."
        )
        needed = f"over {MOST_ROLLOUTS:,}" if self.rollouts is None else f"about {self.rollouts}"
        done = f"{self.trials} are done"
        return f"{said} To tell rates like these apart takes {needed} trials of each; {done}."


def trials_report(
    plan: TrialPlan, outcomes: Outcomes
) -> tuple[list[PolicyOutcome], list[PolicyPair]]:
    """What is known so far of each policy, by letter, and of every two that were tried."""
    ended = any(item.order == len(plan.trials) for item in outcomes.done)
    by_letter, policies, complete = {}, [], set()
    for policy in plan.policies:
        done = [item for item in outcomes.done if item.letter == policy.letter]
        policies.append(
            PolicyOutcome(
                letter=policy.letter,
                successes=sum(item.success for item in done),
                episodes=len(done),
                score=_mean(item.score for item in done),
                seconds=_mean(item.seconds for item in done),
            )
        )
        if done:
            by_letter[policy.letter] = done
        if ended and len(done) >= _DONE * len(plan.trials) / len(plan.policies):
            complete.add(policy.letter)
    pairs = []
    for letters in combinations(by_letter, 2):
        first, second = (by_letter[letter] for letter in letters)
        result, blocks = _pair(first, second)
        trials, is_complete = min(len(first), len(second)), complete.issuperset(letters)
        pairs.append(
            PolicyPair(
                **asdict(result), letters=letters, blocks=blocks, trials=trials,
                is_complete=is_complete,
            )
        )  # fmt: skip
    fixed = holm([pair.p_value for pair in pairs])
    looked = holm([pair.sequential_p or 0.0 for pair in pairs])
    return policies, [
        replace(pair, p_value=p_value, sequential_p=sequential_p)
        for pair, p_value, sequential_p in zip(pairs, fixed, looked, strict=True)
    ]


def _pair(first: Sequence[TrialOutcome], second: Sequence[TrialOutcome]) -> tuple[SuccessPair, int]:
    """The comparison of two policies, and the blocks that both were tried in once where paired."""
    here, there = _by_block(first), _by_block(second)
    shared = [block for block in here if block in there]
    if len(shared) >= _PAIRED * max(len(first), len(second)):
        sides = [{at: side[block] for at, block in enumerate(shared)} for side in (here, there)]
    else:  # keys that are nowhere the same: independent
        shared = []
        sides = [{sign * item.order: item.success for item in side}
                 for sign, side in ((1, first), (-1, second))]  # fmt: skip
    return compared(*(SuccessEstimate((side,)) for side in sides)), len(shared)


def _by_block(outcomes: Sequence[TrialOutcome]) -> dict[tuple[int, int], bool]:
    """Success by condition and repeat, where there was one trial, in order."""
    blocks = [(item.condition, item.repeat) for item in outcomes]
    pairs = zip(blocks, outcomes, strict=True)
    return {block: item.success for block, item in pairs if blocks.count(block) == 1}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
