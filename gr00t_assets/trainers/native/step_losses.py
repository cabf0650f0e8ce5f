"""Losses and gradient norms of steps, which stay on the device until somebody asks for them.

Reading a number from a GPU waits for all that it was given to do. So a step leaves its numbers
where they are, and those of several steps are fetched in one copy where a step is logged or saved.
"""

import math

import torch
from torch import Tensor

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.trainers.native.processes import Processes


class StepLosses:
    """Losses of the steps since the last logged one.

    Attributes:
        last: The newest loss that was fetched, ``None`` before the first one.
        grad_norm: The gradient's norm at the same step.
    """

    def __init__(self, processes: Processes) -> None:
        self.last: float | None = None
        self.grad_norm = math.nan
        self._processes = processes
        self._on_device: list[tuple[int, Tensor, Tensor, float]] = []
        self._fetched: list[float] = []

    def add(self, step: int, loss: Tensor, grad_norm: Tensor, learning_rate: float) -> None:
        """Keep what a step gave, without waiting for it.

        Args:
            step: Its number, from 1.
            loss: This process's share of the loss, a scalar on any device; the mean over the
                processes is the step's.
            grad_norm: Norm of its gradient over all processes, a scalar on any device.
            learning_rate: That it was taken with.
        """
        self._on_device.append((step, loss, grad_norm, learning_rate))

    def fetch(self) -> None:
        """Wait for the device and take over its numbers; every process does so after equal steps.

        Raises:
            TrainingError: A loss or a norm is not a finite number; the first such step is named.
        """
        if not self._on_device:
            return
        steps, losses, norms, rates = zip(*self._on_device, strict=True)
        self._on_device = []
        on_cpu = torch.stack([value.double() for value in (*losses, *norms)]).cpu()
        means = self._processes.mean(on_cpu[: len(steps)]).tolist()
        numbers = zip(steps, means, on_cpu[len(steps) :].tolist(), rates, strict=True)
        for step, loss, norm, rate in numbers:
            if not (math.isfinite(loss) and math.isfinite(norm)):
                problem = f"the loss is {loss}, the gradient's norm {norm}: training has diverged."
                remedy = "lower learning_rate, or raise warmup_ratio, in the sweep file"
                found = f"learning rate at this step: {rate:.3e}"
                raise TrainingError(f"step {step}", problem, [found, remedy])
            self._fetched.append(loss)
            self.last, self.grad_norm = loss, norm

    def taken(self) -> tuple[float, ...]:
        """Fetched losses, a step each, that were not taken before."""
        losses, self._fetched = tuple(self._fetched), []
        return losses
