"""The training loop: from a state to ``max_steps``, with a checkpoint every ``save_steps``."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.metrics import Metric
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.checkpoints import (
    TrainingState,
    random_states,
    restore_random_states,
)
from gr00t_assets.trainers.native.devices import Device
from gr00t_assets.trainers.native.model import Gr00tN15
from gr00t_assets.trainers.native.optimization import (
    make_optimizer,
    make_scheduler,
    optimizer_tensors,
    restore_optimizer,
    trainable,
)
from gr00t_assets.trainers.reporting import Reporter
from gr00t_assets.trainers.stopping import StopRequest


@dataclass
class TrainingLoop:
    """One run's model, optimizer and place in the data.

    Args:
        model: On its device, with its trainable parts set.
        settings: The hyperparameters.
        batches: Where batches come from.
        device: Where the model is.
        reporter: Told of every logged step.
        save: Called with the state to keep, every ``save_steps`` and when asked to stop.
    """

    model: Gr00tN15
    settings: Hyperparameters
    batches: BatchSource
    device: Device
    reporter: Reporter
    save: Callable[[TrainingState], None]
    step: int = 0
    samples_seen: int = 0
    wall_seconds: float = 0.0
    _pending: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(self.settings.seed)
        self.optimizer = make_optimizer(self.model, self.settings)
        self.scheduler = make_scheduler(self.optimizer, self.settings)
        self._parameters = [parameter for _, parameter in trainable(self.model)]

    def restore(self, state: TrainingState) -> None:
        """Go back to a checkpoint: weights, moments, learning rate, randomness and data order."""
        named = dict(trainable(self.model))
        with torch.no_grad():
            for name, value in state.weights.items():
                named[name].copy_(value)
        restore_optimizer(self.model, self.optimizer, state.optimizer)
        functions = [None] * len(self.optimizer.param_groups)
        self.scheduler.load_state_dict({**state.scheduler, "lr_lambdas": functions})
        # Computed anew: the state's own rates are those of another schedule where the run goes on
        # from a shorter one.
        course = zip(self.scheduler.base_lrs, self.scheduler.lr_lambdas, strict=True)
        rates = [rate * factor(self.scheduler.last_epoch) for rate, factor in course]
        self.scheduler._last_lr = rates
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        restore_random_states(state.random)
        self.step, self.samples_seen = state.step, state.samples_seen
        self.wall_seconds = state.wall_seconds

    def state(self) -> TrainingState:
        """Everything needed to go on from here."""
        scheduler = {
            key: value
            for key, value in self.scheduler.state_dict().items()
            if key in ("last_epoch", "_step_count", "_last_lr", "base_lrs")
        }
        return TrainingState(
            step=self.step,
            samples_seen=self.samples_seen,
            wall_seconds=self.wall_seconds,
            scheduler=scheduler,
            weights={name: value.detach() for name, value in trainable(self.model)},
            optimizer=optimizer_tensors(self.model, self.optimizer),
            random=random_states(),
        )

    def run(self, stop: StopRequest) -> bool:
        """Train to ``max_steps``; False where it stopped before, on request, with a checkpoint.

        Raises:
            TrainingError: The loss or the gradient is no longer a finite number.
        """
        settings = self.settings
        self.model.train()
        while self.step < settings.max_steps:
            began = time.perf_counter()
            rate = float(self.scheduler.get_last_lr()[0])
            loss, grad_norm = self._optimizer_step()
            self.step += 1
            self.samples_seen += settings.samples_per_step
            self.wall_seconds += time.perf_counter() - began
            self._pending.append(loss)
            self.reporter.step(self.step, loss)
            stopping = stop.asked
            over = stopping or self.step == settings.max_steps
            saving = over or self.step % settings.save_steps == 0
            if saving or self.step % settings.logging_steps == 0:
                self._log(grad_norm, rate)
            if saving:
                self.save(self.state())
            if stopping and self.step < settings.max_steps:
                return False
        return True

    def _optimizer_step(self) -> tuple[float, float]:
        accumulate = self.settings.gradient_accumulation_steps
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for micro in range(accumulate):
            draw = self.samples_seen + micro * self.settings.batch_size
            batch = self.batches.batch(draw)
            with self.device.autocast():
                loss = self.model(batch) / accumulate
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.max_grad_norm).item()
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise TrainingError(
                f"step {self.step + 1}",
                f"the loss is {total}, the gradient's norm {norm}: training has diverged.",
                [
                    f"learning rate at this step: {self.scheduler.get_last_lr()[0]:.3e}",
                    "lower learning_rate, or raise warmup_ratio, in the sweep file",
                ],
            )
        self.optimizer.step()
        self.scheduler.step()
        return total, norm

    def _log(self, grad_norm: float, rate: float) -> None:
        if not self._pending:
            return
        self.reporter.metric(
            Metric(
                step=self.step,
                samples_seen=self.samples_seen,
                epoch=self.samples_seen / self.batches.samples,
                loss=sum(self._pending) / len(self._pending),
                losses=tuple(self._pending),
                grad_norm=grad_norm,
                learning_rate=rate,
                wall_seconds=self.wall_seconds,
            )
        )
        self._pending.clear()
