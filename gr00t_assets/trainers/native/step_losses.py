"""Losses and gradient norms of steps, which stay on the device until somebody asks for them.

Reading a number from a GPU waits for all that it was given to do. So a step leaves its numbers
where they are, and those of several steps are fetched in one copy where a step is logged or saved.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.trainers.native.processes import Processes


class _Step(NamedTuple):
    step: int
    loss: Tensor
    grad_norm: Tensor
    learning_rate: float


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
        self._on_device: list[_Step] = []
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
        self._on_device.append(_Step(step, loss, grad_norm, learning_rate))

    def fetch(self) -> None:
        """Wait for the device and take over its numbers; every process does so after equal steps.

        Raises:
            TrainingError: A loss or a norm is not a finite number; the first such step is named.
        """
        if not self._on_device:
            return
        steps, self._on_device = self._on_device, []
        numbers = [step.loss.double() for step in steps] + [s.grad_norm.double() for s in steps]
        on_cpu = torch.stack(numbers).cpu()
        losses = self._processes.mean(on_cpu[: len(steps)]).tolist()
        for step, loss, norm in zip(steps, losses, on_cpu[len(steps) :].tolist(), strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise TrainingError(
                    f"step {step.step}",
                    f"the loss is {loss}, the gradient's norm {norm}: training has diverged.",
                    [
                        f"learning rate at this step: {step.learning_rate:.3e}",
                        "lower learning_rate, or raise warmup_ratio, in the sweep file",
                    ],
                )
            self._fetched.append(loss)
            self.last, self.grad_norm = loss, norm

    def taken(self) -> tuple[float, ...]:
        """Fetched losses, a step each, that were not taken before."""
        losses, self._fetched = tuple(self._fetched), []
        return losses
