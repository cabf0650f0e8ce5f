"""Simulated studies whose truth is known: how often the comparison is right, and how fast it is.

``python -m benchmarks.studies [--cells PATTERN] [--studies N] [--seed S]``. Each study is a table
of runs as a person would hand it to ``compare``; only the JSON of the comparison is looked at. A
run's log loss is what its settings give plus normal noise whose standard deviation is the
run-to-run spread. The studies of the default seed are kept for the figures of
``docs/statistics.md``: while a method is changed, try it with other seeds. A line has, each of 100
studies, claims or intervals:

``false``  studies in which a factor that does nothing is said to change the loss
``found``  studies in which the learning rate, which changes it by 20 percent, is said to do so
``best``   studies in which a configuration is named the best; ``right`` of these it really is
           lower than every other one
``effects`` intervals of the questions' estimates that hold the truth, ``losses`` those of the
           ranking, ``lowest`` those of what the first place is expected to have in new runs

``!`` marks a missed target; shares of fewer than 100 are not held against it.
"""

import argparse
import fnmatch
import json
import math
import resource
import statistics
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import study_designs as designs
from benchmarks.study_cells import BY_RATE, RIGHT, Cell, all_cells
from benchmarks.study_designs import Row
from gr00t_assets.comparison import compare

COLUMNS = ("false", "found", "best", "right", "effects", "losses", "lowest")
SEED = 20_261_129
"""Of the published figures."""

LOSS = 0.08
FEWEST = 100
"""A share of fewer is not held against its target."""

MOST_RUNS, PROPOSED_RUNS = 60, 18
"""Of a study that follows proposals: at most, and in the median."""

MILLISECONDS, SECONDS, MEGABYTES = 50, 20, 1000


Counts = Counter[tuple[str, bool]]
"""By column how often it was so, and how often not."""


class Study:
    """Runs and their true losses; more can be made.

    Args:
        cell: What kind of study.
        rng: Where everything by chance comes from.
    """

    def __init__(self, cell: Cell, rng: np.random.Generator) -> None:
        self.cell, self._rng = cell, rng
        self.rows = cell.design(rng)
        self.truth = cell.truth(rng, self.rows)
        self._spread = cell.spread(rng, self.rows)
        self._of_seed: dict[object, float] = {}
        self.losses = [
            self._loss(*item) for item in zip(self.rows, self.truth, self._spread, strict=True)
        ]

    def _loss(self, row: Row, truth: float, spread: float) -> float:
        tails = self.cell.heavy_tails
        noise = self._rng.standard_t(4) / math.sqrt(2) if tails else self._rng.standard_normal()
        common = self._of_seed.setdefault(row["seed"], float(self._rng.standard_normal()))
        share = self.cell.common_seeds
        return LOSS * math.exp(
            truth + spread * (math.sqrt(share) * common + math.sqrt(1 - share) * noise)
        )

    def compared(self) -> dict[str, Any]:
        """The JSON of the comparison."""
        names = [f"run-{number}" for number in range(len(self.rows))]
        frame = pd.DataFrame(self.rows).assign(name=names, status="finished", loss=self.losses)
        return compare(frame).to_json()

    def followed(self) -> dict[str, Any]:
        """The same after the runs that were proposed for the learning rate have been made."""
        found = self.compared()
        while len(self.rows) < MOST_RUNS:
            proposed = [
                experiment["settings"]
                for proposal in found["proposals"]
                if "learning_rate" in proposal["questions"]
                for experiment in proposal["experiments"]
            ]
            if not proposed:
                break
            for settings in proposed:
                self._make({name: settings.get(name, self.rows[0][name]) for name in self.rows[0]})
            found = self.compared()
        return found

    def _make(self, row: Row) -> None:
        """One more run; of a value that has not run the truth is between its neighbours'."""
        rates = np.log([item["learning_rate"] for item in self.rows])
        order = np.argsort(rates, kind="stable")
        truth = float(np.interp(math.log(row["learning_rate"]), rates[order], self.truth[order]))
        self.rows.append(row)
        self.truth, self._spread = (
            np.append(self.truth, truth),
            np.append(self._spread, self._spread[0]),
        )
        self.losses.append(self._loss(row, truth, float(self._spread[0])))


def counted(study: Study, found: Mapping[str, Any]) -> Counts:
    """How often each column was so, and how often not."""
    counts: Counts = Counter()
    shown = {x["factor"] for x in found["questions"] if x["verdict"] == "controlled"}
    active = {"learning_rate"} if study.truth.any() else set()
    by_name = {f"run-{number}": float(loss) for number, loss in enumerate(study.truth)}
    if study.cell.truth in BY_RATE:
        counts["false", bool(shown - active)] += 1
        counts["found", "learning_rate" in shown] += bool(active)
    for question in found["questions"]:
        estimate = question["estimate"]
        if study.cell.truth in BY_RATE and estimate and estimate["interval"]:
            name = question["factor"]
            truth = _at(study, name, estimate["high"]) - _at(study, name, estimate["low"])
            counts["effects", _holds(estimate["interval"], truth)] += 1
    item = found["classes"][0]
    counts["best", item["best"] is not None] += 1
    if item["best"] is not None:
        named = next(x["place"] for x in item["ranking"] if x["run_id"] == item["best"])
        others = [by_name[x["run_id"]] for x in item["ranking"] if x["place"] != named]
        counts["right", by_name[item["best"]] < min(others)] += 1
    for place in {x["place"]: x for x in item["ranking"] if x["interval"]}.values():
        truth = by_name[place["run_id"]] + math.log(LOSS)
        counts["losses", _holds(place["interval"], truth)] += 1
        if place["place"] == 1:
            counts["lowest", _holds(place["expected_interval"], truth)] += 1
    return counts


def _at(study: Study, factor: str, value: object) -> float:
    """The mean true log loss at a value."""
    places = [number for number, row in enumerate(study.rows) if row[factor] == value]
    return float(study.truth[places].mean()) if factor == "learning_rate" else 0.0


def _holds(interval: tuple[float, float], log_value: float) -> bool:
    return interval[0] <= math.exp(log_value) <= interval[1]


def line_of(
    name: str, cell: Cell, arguments: argparse.Namespace, everything: Counts
) -> tuple[str, list[str]]:
    """A cell's line, and what it misses; what it counted of the best is added to ``everything``."""
    counts: Counts = Counter()
    runs, started = [], time.process_time()
    studies, kind = arguments.studies, zlib.crc32(name.encode())
    for number in range(studies):
        study = Study(cell, np.random.default_rng([arguments.seed, kind, number]))
        counts += counted(study, study.followed() if cell.follow else study.compared())
        runs.append(len(study.rows))
    text, missed = shares(name, counts, cell.targets)
    median = statistics.median(runs)
    if cell.follow:
        text += f"{median:>5.0f} runs"
        if "found" in cell.targets and median > PROPOSED_RUNS:
            missed.append(f"{name}: {median:.0f} runs in the median, target {PROPOSED_RUNS}")
    if "right" in cell.targets:
        everything += Counter({key: count for key, count in counts.items() if key[0] == "right"})
    return f"{text}{1000 * (time.process_time() - started) / studies:>6.0f} ms", missed


def shares(
    name: str, counts: Counts, targets: Mapping[str, tuple[int, int]]
) -> tuple[str, list[str]]:
    """A line of numbers of 100, and what it misses."""
    text, missed = f"{name:<58}", []
    for column in COLUMNS:
        of = counts[column, True] + counts[column, False]
        share = 100 * counts[column, True] / of if of else math.nan
        low, high = targets.get(column, (0, 100))
        met = of < FEWEST or low <= share <= high
        if not met:
            missed.append(f"{name}: {column} {share:.1f}, target {low} to {high}")
        text += f"{f'{share:.1f}' if of else '':>8}{' ' if met else '!'}"
    return text, missed


def speed() -> list[str]:
    """Milliseconds of 30 runs; seconds and memory of 2,000, in a process of its own."""
    study = Study(Cell(designs.random_search), np.random.default_rng(0))
    study.compared()
    seconds = []
    for _ in range(20):
        started = time.process_time()
        study.compared()
        seconds.append(time.process_time() - started)
    milliseconds = 1000 * statistics.median(seconds)
    command = [sys.executable, "-m", "benchmarks.studies", "--many", "2000"]
    many = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    print(f"30 runs: {milliseconds:.0f} ms, target {MILLISECONDS}; 2,000 runs: "
          f"{many['seconds']:.1f} s, target {SECONDS}, {many['megabytes']:.0f} MB, target "
          f"{MEGABYTES}")  # fmt: skip
    late = milliseconds > MILLISECONDS or many["seconds"] > SECONDS
    return ["speed"] if late or many["megabytes"] > MEGABYTES else []


def many_runs(count: int) -> dict[str, float]:
    """Seconds and megabytes of one comparison; half of the runs are a search, half have 3 seeds."""
    rng = np.random.default_rng(0)
    rows = designs.random_search(rng, count // 2)
    rows += designs.separate(count // 6, 3)(rng)
    study = Study(Cell(lambda rng: rows), rng)
    started = time.process_time()
    study.compared()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"seconds": time.process_time() - started, "megabytes": peak}


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--cells", default="*", metavar="PATTERN", help="names, such as 'no effect*'"
    )
    parser.add_argument("--studies", type=int, default=200, metavar="N", help="of each cell")
    parser.add_argument("--seed", type=int, default=SEED, metavar="S", help="of all studies")
    parser.add_argument("--many", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.many:
        print(json.dumps(many_runs(arguments.many)))
        return 0
    missed, everything = [], Counter()
    print(f"{'of 100':<58}" + "".join(f"{name:>8} " for name in COLUMNS))
    for name, cell in all_cells().items():
        if fnmatch.fnmatch(name, arguments.cells):
            text, also = line_of(name, cell, arguments, everything)
            print(text, flush=True)
            missed += also
    if everything:
        text, also = shares("every configuration that was named the best", everything, RIGHT)
        print(text)
        missed += also
    if fnmatch.fnmatch("speed", arguments.cells):
        missed += speed()
    print("\n".join(["missed:", *missed] if missed else ["every target is met"]))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
