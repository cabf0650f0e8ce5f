"""The next round of a design: all configurations, or some, once more with one common seed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gr00t_assets.comparison.proposals.control_runs import ProposedExperiment
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.statistics.factors import Configuration, configuration_key

MOST_RUNS = 100
"""Of one round; nobody repeats a random search of a thousand."""

USUAL_SEED = 42
"""Of a run that does not tell its seed, the default of the trainers."""

ENDED = frozenset({"finished", "failed", "pruned"})
"""A seed of such a run had its turn; one that failed is not tried again."""


class Round(NamedTuple):
    """Runs of one seed.

    Attributes:
        experiments: Those that are not there yet.
        begun: Runs that are there and not finished.
        seeds: Mean number of seeds of the configurations before the round.
        added: By how many it grows with it.
    """

    experiments: tuple[ProposedExperiment, ...]
    begun: tuple[Run, ...]
    seeds: float
    added: float


def next_round(members: Sequence[Configuration], runs: Sequence[Run], speeds: Speeds) -> Round:
    """The runs that bring every configuration to as many seeds as the others, else to one more.

    Seeds are common to all: what a seed adds to every loss does then not count in a comparison.
    Of the runs, which have any status, none is proposed again.
    """
    of_member = {configuration_key(item.first): item for item in members}
    tried: dict[tuple[object, ...], dict[object, Run]] = {key: {} for key in of_member}
    for run in runs:
        key, seed = configuration_key(run), run.settings.get("seed", USUAL_SEED)
        is_tried = key in tried and run.status not in ("missing", "stale")
        if is_tried and (seed not in tried[key] or run.finished):
            tried[key][seed] = run
    done = {key: sum(x.status in ENDED for x in seeds.values()) for key, seeds in tried.items()}
    counts = {key: max(len(item.by_seed), done[key]) for key, item in of_member.items()}
    most = max(counts.values())
    short = [key for key in of_member if counts[key] < most] or list(of_member)
    seed = _seed(short, tried, behind=len(short) < len(of_member))
    experiments, begun = [], []
    for key in short:
        run = tried[key].get(seed)
        if run is None:
            first = of_member[key].first
            reason = f"{first.name} again with seed {seed}: how far two runs of it differ."
            experiments.append(ProposedExperiment(first, {"seed": seed}).told(reason, speeds))
        elif run.status not in ENDED:
            begun.append(run)
    added = (len(experiments) + len(begun)) / len(of_member)
    return Round(tuple(experiments), tuple(begun), sum(counts.values()) / len(counts), added)


def _seed(
    short: Sequence[tuple[object, ...]],
    tried: Mapping[tuple[object, ...], Mapping[object, Run]],
    behind: bool,
) -> int:
    """The seed of a round that was begun; else the one that most of the others have.

    Without either it is the lowest from 1 that nobody has.
    """
    begun = Counter(
        seed for key in short for seed, run in tried[key].items() if run.status not in ENDED
    )
    every = Counter(seed for seeds in tried.values() for seed in seeds)
    lacking = (seed for seed, _ in every.most_common() if all(seed not in tried[x] for x in short))
    known = [*(seed for seed, _ in begun.most_common()), *(lacking if behind else ())]
    fresh = next(seed for seed in range(1, len(every) + 2) if seed not in every)
    return next((seed for seed in known if isinstance(seed, int)), fresh)
