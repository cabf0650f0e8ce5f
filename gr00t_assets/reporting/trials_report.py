"""What trials on a robot say: success of each policy, pairs of them, and whether to go on.

A pair is compared by McNemar's exact test over the blocks in which each was tried once, which by
the plan are all; where more than a fifth of the trials has no such partner, by Barnard's over all.
It is settled where the sequential test, which holds its level at any number of looks, says so, or
at the end of the plan McNemar's or Barnard's. Together the two are wrong in at most 6 of 100 plans
of up to 200 blocks (``test_trials_report.py``). All are corrected for the number of pairs (Holm).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Any

from gr00t_assets.comparison.statistics.success import LEVEL, MOST_ROLLOUTS, holm
from gr00t_assets.comparison.statistics.success_pairs import (
    SuccessEstimate,
    SuccessPair,
    adjusted,
    compared,
)
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.success_rate import SuccessRate
from gr00t_assets.evaluation.trials.lineage import TrialLineage, lineages_of_plan
from gr00t_assets.evaluation.trials.plan import TrialPlan
from gr00t_assets.evaluation.trials.sheet import Outcomes, TrialOutcome

_PAIRED = 0.8
"""Share of the trials of each of two policies that have a partner where they are paired."""

_DONE = 0.9
"""Share of a policy's trials that were done at the end of a plan; some cannot be judged."""


@dataclass(frozen=True)
class PolicyOutcome:
    """What came of the trials of one policy; means are None where nothing was written down."""

    letter: str
    name: str
    rate: SuccessRate
    planned: int
    score: float | None
    seconds: float | None


@dataclass(frozen=True)
class PolicyPair:
    """The second policy against the first.

    Attributes:
        letters: Of both.
        result: With p values by Holm; see ``SuccessPair``.
        blocks: In which both were tried; 0 where they are not paired.
        trials: Of the policy that was tried less.
        is_complete: Whether the end of the plan was reached, with few trials left out.
    """

    letters: tuple[str, str]
    result: SuccessPair
    blocks: int
    trials: int
    is_complete: bool

    @property
    def is_settled(self) -> bool:
        """Whether one is known to succeed more often, however often somebody looked."""
        looked = self.result.sequential_p
        at_end = self.is_complete and self.result.told_apart
        return at_end or (looked is not None and looked < LEVEL)

    @property
    def more(self) -> int | None:
        """Further trials of each until as many are done as tell such rates apart in 80 of 100.

        None where it is settled, and where they would be too many.
        """
        needed = self.result.rollouts
        return None if self.is_settled or needed is None else max(0, needed - self.trials)

    def sentences(self, names: Mapping[str, str]) -> list[str]:
        """What is known of the pair, how, and what to do; ``names`` by letter."""
        first, second = (names[letter] for letter in self.letters)
        result, needed = self.result, self.result.rollouts
        where = f"over {self.blocks} shared conditions" if self.blocks else "over all trials"
        said = [
            f"{second} against {first}: {result.words}, p = {result.p_value:.2g} "
            f"({result.test} {where}); with looks at any time p = {result.sequential_p:.2g}."
        ]
        if self.is_settled:
            return [*said, "It is settled which of them succeeds more often."]
        advice = "" if self.is_complete else " yet; go on to the end of the plan"
        said.append(f"It is not settled{advice}.")
        if needed is None:
            said.append(f"To tell rates like these apart takes over {MOST_ROLLOUTS:,} trials each.")
        else:
            said.append(f"To tell rates like these apart takes about {needed} trials of each"
                        f"{f', {self.more} more' if self.more else ''}.")  # fmt: skip
        return said


@dataclass(frozen=True)
class TrialsReport:
    """Everything that ``gr00t-assets trials show`` says; policies by letter."""

    plan: TrialPlan
    done: int
    policies: tuple[PolicyOutcome, ...]
    pairs: tuple[PolicyPair, ...]
    warnings: tuple[str, ...]
    recorded: tuple[TrialLineage, ...]

    def names(self, unblind: bool) -> dict[str, str]:
        """What each letter is called."""
        return {
            item.letter: f"{item.letter} ({item.name})" if unblind else item.letter
            for item in self.policies
        }

    def to_json(self, unblind: bool) -> dict[str, Any]:
        """The same as JSON has it; names of policies only where ``unblind``."""
        keys = {item.letter: item.model_dump(mode="json") for item in self.plan.policies}
        return {
            "name": self.plan.name,
            "plan_hash": self.plan.content_hash(),
            "planned": len(self.plan.trials),
            "done": self.done,
            "policies": [
                {
                    "letter": item.letter,
                    "successes": item.rate.successes,
                    "trials": item.rate.episodes,
                    "rate": item.rate.rate if item.rate.episodes else None,
                    "wilson": item.rate.wilson(),
                    "clopper_pearson": item.rate.clopper_pearson(),
                    "score": item.score,
                    "seconds": item.seconds,
                    **({"policy": keys[item.letter]} if unblind else {}),
                }
                for item in self.policies
            ],
            "pairs": [
                {
                    "letters": pair.letters,
                    "difference": pair.result.difference,
                    "interval": pair.result.interval,
                    "test": pair.result.test,
                    "p_value": pair.result.p_value,
                    "sequential_p": pair.result.sequential_p,
                    "settled": pair.is_settled,
                    "trials_needed_each": pair.result.rollouts,
                    "more_trials_each": pair.more,
                }
                for pair in self.pairs
            ],
            "warnings": self.warnings,
            "recorded": [
                {"dataset": item.dataset, "version": item.version} for item in self.recorded
            ],
        }


def trials_report(plan: TrialPlan, outcomes: Outcomes, store: Store) -> TrialsReport:
    """What is known so far.

    Raises:
        DatasetError: The lineage of a dataset cannot be read.
    """
    by_letter = {
        policy.letter: [item for item in outcomes.done if item.letter == policy.letter]
        for policy in plan.policies
    }
    policies = [
        PolicyOutcome(
            letter=policy.letter,
            name=policy.name,
            rate=_rate(by_letter[policy.letter]),
            planned=sum(trial.letter == policy.letter for trial in plan.trials),
            score=_mean([item.score for item in by_letter[policy.letter]]),
            seconds=_mean([item.seconds for item in by_letter[policy.letter]]),
        )
        for policy in plan.policies
    ]
    ended = any(item.order == len(plan.trials) for item in outcomes.done)
    complete = {
        item.letter for item in policies if ended and item.rate.episodes >= _DONE * item.planned
    }
    tried = [letter for letter, done in by_letter.items() if done]
    pairs = []
    for letters in combinations(tried, 2):
        first, second = (by_letter[letter] for letter in letters)
        result, blocks = _pair(first, second)
        trials = min(len(first), len(second))
        pairs.append(PolicyPair(letters, result, blocks, trials, set(letters) <= complete))
    corrected = adjusted([pair.result for pair in pairs])
    looked = holm([pair.result.sequential_p or 0.0 for pair in pairs])
    pairs = [
        replace(pair, result=replace(result, sequential_p=value))
        for pair, result, value in zip(pairs, corrected, looked, strict=True)
    ]
    recorded = tuple(lineages_of_plan(plan, store))
    return TrialsReport(
        plan, len(outcomes.done), tuple(policies), tuple(pairs), outcomes.deviations, recorded
    )


def _pair(first: Sequence[TrialOutcome], second: Sequence[TrialOutcome]) -> tuple[SuccessPair, int]:
    """The comparison of two policies, and the blocks that both were tried in once where paired."""
    here, there = _by_block(first), _by_block(second)
    shared = [block for block in here if block in there]
    if len(shared) >= _PAIRED * max(len(first), len(second)):
        sides = [SuccessEstimate(({at: side[block] for at, block in enumerate(shared)},))
                 for side in (here, there)]  # fmt: skip
        return compared(*sides), len(shared)
    # Keys that are nowhere the same: independent.
    sides = [SuccessEstimate(({sign * item.order: item.success for item in side},))
             for sign, side in ((1, first), (-1, second))]  # fmt: skip
    return compared(*sides), 0


def _by_block(outcomes: Sequence[TrialOutcome]) -> dict[tuple[int, int], bool]:
    """Success by condition and repeat, where there was one trial, in order."""
    blocks = [(item.condition, item.repeat) for item in outcomes]
    return {
        block: item.success
        for block, item in zip(blocks, outcomes, strict=True)
        if blocks.count(block) == 1
    }


def _rate(outcomes: Sequence[TrialOutcome]) -> SuccessRate:
    return SuccessRate(successes=sum(item.success for item in outcomes), episodes=len(outcomes))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
