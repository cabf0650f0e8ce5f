"""What a run draws by its seed: the order of samples, noise and times; from any place on."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gr00t_assets.trainers.n15.architecture import ActionHeadConfig

_OF_BLOCKS = 0x6D6978  # Sets the random numbers of blocks apart from those of epochs.
_OF_FLOW = 0x666C6F77  # Sets noise and times apart from the numbers of the augmentation.


def sample_seed(seed: int, draw: int) -> int:
    """A seed for what is drawn at random for the sample ``draw`` of a run, unlike its neighbours'.

    Each sample's augmentation has one, so that it does not matter in which batch it is.
    """
    return int(np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0] >> 1)


def draw_flow(
    config: ActionHeadConfig, seed: int, draw: int, samples: int
) -> tuple[Tensor, Tensor]:
    """Noise and times of flow matching for the samples after ``draw``, the same on every device.

    Noise is standard normal, ``(samples, horizon, action_dim)`` float32. Times in [0, 1],
    ``(samples,)`` float32, follow from the Beta distribution, as in Isaac-GR00T; see ``times``.
    """
    random = np.random.default_rng([seed, draw, _OF_FLOW])
    shape = (samples, config.action_horizon, config.action_dim)
    noise = random.standard_normal(shape, dtype=np.float32)
    beta = random.beta(config.noise_beta_alpha, config.noise_beta_beta, samples)
    times = config.times(beta).astype(np.float32)
    return torch.from_numpy(noise), torch.from_numpy(times)


class DataOrder:
    """The order of the samples of one dataset, in an epoch one seeded permutation of its rows.

    A batch may run over the end of an epoch into the next. Threads may ask at the same time.

    Args:
        samples: Rows of the dataset.
        seed: Of the run.
        place: Of the dataset in a mixture; each has an order of its own.
        lengths: Rows of each episode, where every episode is to have the same chance; then an
            epoch is as many draws, each of an episode and of one of its rows.

    Examples:
        >>> order = DataOrder(samples=3, seed=0)
        >>> seen = order.rows(np.arange(6)).tolist()
        >>> sorted(seen[:3]), sorted(seen[3:])
        ([0, 1, 2], [0, 1, 2])
    """

    def __init__(
        self, samples: int, seed: int, place: int = 0, lengths: Sequence[int] | None = None
    ) -> None:
        self._samples, self._seed, self._place = samples, seed, place
        self._lengths = None if lengths is None else np.asarray(lengths)
        self._epoch = lru_cache(maxsize=2)(self._drawn_epoch)

    def rows(self, draws: np.ndarray) -> np.ndarray:
        """Sample indices of some draws, counted from 0, of their shape, int64."""
        epochs, places = np.divmod(draws, self._samples)
        chosen = np.empty(len(draws), dtype=np.int64)
        for epoch in np.unique(epochs):
            within = epochs == epoch
            chosen[within] = self._epoch(int(epoch))[places[within]]
        return chosen

    def _drawn_epoch(self, epoch: int) -> np.ndarray:
        random = np.random.default_rng([self._seed, epoch, self._place])
        if self._lengths is None:
            return random.permutation(self._samples)
        episodes = random.integers(len(self._lengths), size=self._samples)
        first = np.cumsum(self._lengths) - self._lengths
        return first[episodes] + random.integers(self._lengths[episodes])


class Draws(NamedTuple):
    """Of n drawn samples of a mixture the dataset of each and which of its rows, (n,) int64."""

    datasets: np.ndarray
    rows: np.ndarray


class MixtureOrder:
    """The order of the samples of a mixture; of one dataset it is that dataset's own.

    Of every thousand draws each dataset has its share, in a seeded order, and each goes through its
    own rows by its own order. NVIDIA's mixture draws each sample anew, so that shares are kept on
    average and rows are left out and repeated by chance; its chances are the same.

    Shares of all draws are 1 together.

    Examples:
        >>> order = MixtureOrder([DataOrder(5, 0), DataOrder(9, 0, 1)], [0.75, 0.25], seed=0)
        >>> np.bincount(order.draws(0, 1000).datasets).tolist(), order.counts(1000).tolist()
        ([750, 250], [750, 250])
    """

    def __init__(self, orders: Sequence[DataOrder], shares: Sequence[float], seed: int) -> None:
        self._orders = orders
        self._shares = np.asarray(shares)
        # Draws in which every dataset has its share to within one draw: so many that the remainder,
        # which the largest share has, is never below 0.
        self._size = max(1000, len(orders) ** 2)
        self._seed = seed
        self._block = lru_cache(maxsize=2)(self._drawn_block)

    def draws(self, start: int, count: int) -> Draws:
        """The samples of ``count`` draws after ``start`` draws."""
        block, place = divmod(start, self._size)
        blocks = range(block, (start + count - 1) // self._size + 1)
        datasets = np.concatenate([self._block(number) for number in blocks])
        datasets = datasets[place : place + count]
        rows = np.empty(count, dtype=np.int64)
        for dataset, before in enumerate(self.counts(start)):
            within = np.flatnonzero(datasets == dataset)
            rows[within] = self._orders[dataset].rows(before + np.arange(len(within)))
        return Draws(datasets, rows)

    def counts(self, draws: int) -> np.ndarray:
        """How many of the first so many draws are of each dataset, ``(datasets,)``, int64."""
        block, places = divmod(draws, self._size)
        begun = self._block(block)[:places]
        return self._before(block) + np.bincount(begun, minlength=len(self._orders))

    def _before(self, block: int) -> np.ndarray:
        """Draws of each dataset before a block; that with the largest share has the remainder."""
        counts = np.floor(self._shares * self._size * block + 1e-6).astype(np.int64)
        largest = int(self._shares.argmax())
        counts[largest] += self._size * block - counts.sum()
        return counts

    def _drawn_block(self, block: int) -> np.ndarray:
        """Dataset of each draw of a block."""
        counts = self._before(block + 1) - self._before(block)
        random = np.random.default_rng([self._seed, block, _OF_BLOCKS])
        return random.permutation(np.repeat(np.arange(len(counts)), counts))
