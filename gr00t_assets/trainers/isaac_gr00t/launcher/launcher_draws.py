"""Augmentation that repeats. Runs under the checkout's Python.

The transforms draw crops and colours from the process's own generators, whose state depends on what
was loaded ahead and by which worker. A run that was killed would go on with other images than it
would have had. Here each sample is drawn from a seed made of the run's seed, the epoch and the row,
and the generators are left as they were: what the model draws does not depend on the loader either.
"""

import importlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np


class Draw(int):
    """A row of the dataset, which knows its epoch; pickled on its way to a loader process."""

    epoch = 0


def repeat_draws(seed: int) -> None:
    """Replace the sampler's iteration and the dataset's access by row."""
    sampler = importlib.import_module("gr00t.experiment.trainer").BaseSampler
    dataset = importlib.import_module("gr00t.data.dataset").LeRobotSingleDataset
    rows, sample = sampler.__iter__, dataset.__getitem__

    def draws(self: Any) -> Iterator[Draw]:
        return _drawn(list(rows(self)), self.epoch)

    def sample_of(self: Any, index: int) -> Any:
        import torch

        words = np.random.SeedSequence([seed, getattr(index, "epoch", 0), int(index)])
        drawn = int(words.generate_state(1)[0])
        before = random.getstate(), np.random.get_state()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(drawn)
            np.random.seed(drawn)
            random.seed(drawn)
            try:
                return sample(self, index)
            finally:
                random.setstate(before[0])
                np.random.set_state(before[1])

    sampler.__iter__ = draws
    dataset.__getitem__ = sample_of


def _drawn(rows: list[int], epoch: int) -> Iterator[Draw]:
    for row in rows:
        draw = Draw(row)
        draw.epoch = epoch
        yield draw
