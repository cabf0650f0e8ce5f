"""Which samples each step sees: a permutation of all rows per epoch, by seed alone."""

import numpy as np


class DataOrder:
    """The order of samples, which any step can be asked for without those before it.

    Every row of every episode to train on is a sample. An epoch is one seeded permutation of them;
    a batch may run over the end of an epoch into the next. Threads may ask at the same time.

    Args:
        samples: Samples in an epoch.
        seed: Seed of the permutations.

    Example:
        >>> order = DataOrder(samples=3, seed=0)
        >>> seen = [int(i) for i in order.positions(0, 6)]
        >>> sorted(seen[:3]), sorted(seen[3:])
        ([0, 1, 2], [0, 1, 2])
    """

    def __init__(self, samples: int, seed: int) -> None:
        self.samples = samples
        self.seed = seed
        self._last = -1, np.empty(0, dtype=np.int64)

    def positions(self, start: int, count: int) -> np.ndarray:
        """Sample indices of ``count`` draws after ``start`` draws, shape ``(count,)``, int64."""
        epochs, places = np.divmod(np.arange(start, start + count), self.samples)
        chosen = np.empty(count, dtype=np.int64)
        for epoch in np.unique(epochs):
            within = epochs == epoch
            chosen[within] = self._permutation(int(epoch))[places[within]]
        return chosen

    def _permutation(self, epoch: int) -> np.ndarray:
        known, permutation = self._last
        if epoch != known:
            permutation = np.random.default_rng([self.seed, epoch]).permutation(self.samples)
            self._last = epoch, permutation
        return permutation


def augmentation_seed(seed: int, draw: int) -> int:
    """A seed for the augmentation of the batch that begins at ``draw``, unlike its neighbours'."""
    return int(np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0] >> 1)
