"""The exponential moving average of the trained weights (EMA), kept in float32."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """An average that starts at the weights as they are; Polyak and Juditsky 1992 have the idea.

    Args:
        parameters: What is trained, by name.
        decay: Share of the average that a step keeps; the rest is the step's weights.

    Attributes:
        tensors: The averages by name, float32, on the device of each parameter.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters = dict(parameters)
        self._average = get_ema_multi_avg_fn(decay)
        self.tensors = {
            name: parameter.detach().to(torch.float32, copy=True)
            for name, parameter in parameters.items()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step, without waiting for the device."""
        now = [parameter.float() for parameter in self._parameters.values()]
        self._average(list(self.tensors.values()), now, 0)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to the averages of a checkpoint."""
        for name, average in self.tensors.items():
            average.copy_(tensors[name])

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The model has the averages inside the block, and its own weights after it."""
        own = {name: value.detach().clone() for name, value in self._parameters.items()}
        self._put(self.tensors)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(tensors[name])
