"""What successive halving gives up: runs of two batch sizes, and the eventual best of a sweep.

``python -m benchmarks.halving`` simulates up to 200 sweeps of each kind in half a minute, without
training. Runs come one by one in random order, and each is decided about by the product's own code,
with the defaults of ``Pruning``. A step's loss is its curve's value times noise whose deviation is
``SAMPLE_CV / sqrt(batch)``.

Equal losses: every curve is trained with batch 4 and with batch 32, and has the same loss at equal
samples. Crossing curves: of sweeps drawn at random those are taken whose eventual best is not among
the best third at 10, 25 or 40 percent of the samples; ``annealed`` are learning rates on the noisy
quadratic model under a cosine schedule (Zhang et al., "Which Algorithmic Choices Matter at Which
Batch Sizes?", NeurIPS 2019), the others laws of decay to a floor.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gr00t_assets.experiments.experiment import Pruning
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.pruning import Decision, RungLoss, decide, rung_loss

STUDIES = 200
RUNS = 12
"""Runs of a sweep, of each batch size."""

SAMPLE_CV = 1.0
"""Deviation over mean of the loss of one sample, see ``benchmarks.sample_noise``."""

POOL = 200
"""Curves that sweeps are drawn from."""

BATCHES = (4, 32)
SAMPLES = 32_000
PRUNING = Pruning()

Decide = Callable[[RungLoss, Sequence[RungLoss], int], Decision]

Draw = Callable[[np.random.Generator, int], np.ndarray]
"""Curves of so many runs without noise, shape ``(runs, points)``, at equal distances in samples."""


def one_curve(rng: np.random.Generator, runs: int) -> np.ndarray:
    """The same for every run."""
    return np.repeat(power(rng, 1), runs, axis=0)


def power(rng: np.random.Generator, runs: int) -> np.ndarray:
    """Floors and amplitudes over a decade each, exponents from 0.2 to 1."""
    floor, amplitude = 10 ** rng.uniform([[-1.5], [0.0]], [[-0.5], [1.0]], (2, runs))
    exponent = rng.uniform(0.2, 1.0, runs)
    seen = np.linspace(1, 1_000, 1_000)[:, None]
    return (floor + amplitude * seen**-exponent).T


def exponential(rng: np.random.Generator, runs: int) -> np.ndarray:
    """Floors over a decade, times of decay from 3 to 100 percent of the run."""
    floor = 10 ** rng.uniform(-1.5, -0.5, (runs, 1))
    decay = 10 ** rng.uniform(-1.5, 0.0, (runs, 1))
    return floor + np.exp(-np.linspace(0, 1, 1_000) / decay)


def plateau(rng: np.random.Generator, runs: int) -> np.ndarray:
    """Level until 2 to 60 percent of the run, then a drop, then level: nothing foretells it."""
    floor = 10 ** rng.uniform(-1.5, -0.3, (runs, 1))
    place, width = rng.uniform([[0.02], [0.02]], [[0.6], [0.1]], (2, runs))[..., None]
    return floor + 1 / (1 + np.exp((np.linspace(0, 1, 1_000) - place) / width))


def annealed(rng: np.random.Generator, runs: int) -> np.ndarray:
    """Learning rates from 0.1 to 1.6 over the largest curvature, with a cosine decay to 0."""
    peak, curvature = 10 ** rng.uniform(-1.0, 0.2, (runs, 1)), 1 / np.arange(1, 101)
    variance = np.ones((runs, len(curvature)))
    curve = np.empty((runs, 1_000))
    for step in range(1_000):
        rate = peak * 0.5 * (1 + np.cos(np.pi * step / 1_000))
        variance = (1 - rate * curvature) ** 2 * variance + rate**2 * curvature / 10
        curve[:, step] = 0.5 * variance @ curvature
    return curve


def noisy(curves: np.ndarray, batch: int, rng: np.random.Generator) -> np.ndarray:
    """Losses of every step, shape ``(runs, SAMPLES / batch)``."""
    steps = SAMPLES // batch
    places = np.linspace(0, curves.shape[1] - 1, steps)
    smooth = np.array([np.interp(places, np.arange(len(curve)), curve) for curve in curves])
    noise = np.maximum(0.01, 1 + SAMPLE_CV / batch**0.5 * rng.standard_normal(smooth.shape))
    return smooth * noise


def steps_done(
    runs: Sequence[np.ndarray], rungs: Sequence[int], decision: Decide = decide
) -> list[int]:
    """Steps that each of some competitors is trained, one after the other."""
    there: dict[int, list[RungLoss]] = {rung: [] for rung in rungs}
    done = []
    for losses in runs:
        steps = len(losses)
        for rung in (rung for rung in rungs if rung < len(losses)):
            own = rung_loss(losses[:rung], len(losses))
            hopeless = decision(own, there[rung], PRUNING.reduction_factor).hopeless
            there[rung].append(own)
            if hopeless:
                steps = rung
                break
        done.append(steps)
    return done


def by_rank_alone(own: RungLoss, others: Sequence[RungLoss], reduction_factor: int) -> Decision:
    """What version 0.2 decided: by the loss reached, whatever its noise."""
    rank = 1 + sum(other.reached.mean < own.reached.mean for other in others)
    runs = len(others) + 1
    return Decision(0 < runs // reduction_factor < rank, rank, runs)


def rungs_of(batch: int) -> tuple[int, ...]:
    """Those of the runs with a batch size."""
    return PRUNING.rungs(Hyperparameters(batch_size=batch, max_steps=SAMPLES // batch))


def equal_losses(draw: Draw, rng: np.random.Generator) -> Iterator[float]:
    """Shares of runs given up with batch 4 and with 32, by the product and by version 0.2."""
    given_up: dict[tuple[bool, int], list[bool]] = defaultdict(list)
    for _ in range(STUDIES):
        curves = draw(rng, RUNS)
        runs = [(batch, losses) for batch in BATCHES for losses in noisy(curves, batch, rng)]
        runs = [runs[place] for place in rng.permutation(len(runs))]
        done = steps_done([losses for _, losses in runs], (100, 300, 900, 2_700), by_rank_alone)
        for (batch, losses), steps in zip(runs, done, strict=True):
            given_up[False, batch].append(steps < len(losses))
        for batch in BATCHES:
            own = [losses for size, losses in runs if size == batch]
            done = steps_done(own, rungs_of(batch))
            given_up[True, batch] += [steps < SAMPLES // batch for steps in done]
    for product in (True, False):
        for batch in BATCHES:
            yield float(np.mean(given_up[product, batch]))


def crossing(
    pool: np.ndarray, behind_at: float, rng: np.random.Generator
) -> tuple[int, float, float, float]:
    """Sweeps whose curves cross so, the share of them in which the eventual best is given up, the
    share of samples not trained, and the first share by rank alone from a tenth of the steps on."""
    sweeps = np.argsort(rng.random((20_000, len(pool))), axis=1)[:, :RUNS]
    best = pool[sweeps, -1].argmin(axis=1)
    early = pool[sweeps, int(behind_at * pool.shape[1])]
    ahead = (early < np.take_along_axis(early, best[:, None], 1)).sum(axis=1)
    behind = ahead >= RUNS / PRUNING.reduction_factor
    taken = np.flatnonzero(behind)[:STUDIES]
    length = SAMPLES // 32
    lost, plain, done = [], [], []
    for study in taken:
        runs = list(noisy(pool[sweeps[study]], 32, rng))
        steps = steps_done(runs, rungs_of(32))
        lost.append(steps[best[study]] < length)
        done += steps
        early_rungs = (length // 10, 3 * length // 10, 9 * length // 10)
        plain.append(steps_done(runs, early_rungs, by_rank_alone)[best[study]] < length)
    saved = 1 - float(np.mean(done)) / length
    return len(taken), float(np.mean(lost)), saved, float(np.mean(plain))


def main() -> None:
    """Print both tables."""
    rng = np.random.default_rng(0)
    headings = f"{'batch 4':>9}{'batch 32':>9}{'v0.2: 4':>9}{'32':>9}"
    print(f"{'runs of equal loss given up':<30}{headings}")
    for name, draw in (("one curve", one_curve), ("curves that differ", power)):
        shares = equal_losses(draw, rng)
        print(f"{name:<30}" + "".join(f"{100 * share:>8.0f}%" for share in shares))
    headings = f"{'sweeps':>9}{'lost':>9}{'saved':>9}{'v0.2 lost':>11}"
    print(f"\n{'crossing, the best behind at':<30}{headings}")
    for draw in (power, exponential, annealed, plateau):
        pool = draw(rng, POOL)
        for share in (0.1, 0.25, 0.4):
            name = f"{draw.__name__}, {share:.0%} of the samples"
            sweeps, *shares = crossing(pool, share, rng)
            print(f"{name:<30}{sweeps:>9}" + "".join(f"{100 * share:>8.0f}%" for share in shares))


if __name__ == "__main__":
    main()
