"""The training loop: one optimizer step after another, on any number of processes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.runs.metrics import Metric
from gr00t_assets.trainers.attempt import StopRequest
from gr00t_assets.trainers.native.base_models import Device
from gr00t_assets.trainers.native.batches import BatchSource, draw_flow, sample_seed
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.optimizer import (
    make_optimizer,
    make_scheduler,
    optimizer_tensors,
    restore_optimizer,
    trainable,
)
from gr00t_assets.trainers.native.processes import Processes
from gr00t_assets.trainers.native.sharding import gathered, is_sharded, part_of, whole
from gr00t_assets.trainers.native.training_state import TrainingState
from gr00t_assets.trainers.reporter import Reporter

_HELD_OUT_SAMPLES = 256
SCHEDULER_STATE = ("last_epoch", "_step_count", "_last_lr", "base_lrs")


@dataclass
class TrainingLoop:
    """One run's model, optimizer and place in the data.

    The model is on its device with its trainable parts set; ``save`` is called with the state to
    keep, every ``save_steps`` and when asked to stop. What is drawn at random follows from the seed
    and the number of samples before, so that nothing of it is kept, and a step is the same however
    many processes share its samples; dropout alone is each process's own.
    """

    model: Gr00tN15
    settings: NativeHyperparameters
    batches: BatchSource
    device: Device
    reporter: Reporter | None
    save: Callable[[TrainingState], None]
    processes: Processes = field(default_factory=Processes)
    step: int = 0
    samples_seen: int = 0
    wall_seconds: float = 0.0
    _pending: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.optimizer = make_optimizer(self.model, self.settings)
        self.scheduler = make_scheduler(self.optimizer, self.settings)
        self._parameters = [parameter for _, parameter in trainable(self.model)]
        self._parallel = self.processes.parallel(self.model, self.device.device)

    def restore(self, state: TrainingState) -> None:
        """Go back to a checkpoint: weights, moments, learning rate and place in the data."""
        named = dict(trainable(self.model))
        with torch.no_grad():
            for name, value in state.weights.items():
                named[name].copy_(part_of(value, named[name]))
        moments = {
            key: part_of(value, named[key.partition("/")[2]])
            for key, value in state.optimizer.items()
        }
        restore_optimizer(self.model, self.optimizer, moments)
        functions = [None] * len(self.optimizer.param_groups)
        self.scheduler.load_state_dict({**state.scheduler, "lr_lambdas": functions})
        # Computed anew: the state's own rates are those of another schedule where the run goes on
        # from a shorter one.
        course = zip(self.scheduler.base_lrs, self.scheduler.lr_lambdas, strict=True)
        rates = [rate * factor(self.scheduler.last_epoch) for rate, factor in course]
        self.scheduler._last_lr = rates
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self.step, self.samples_seen = state.step, state.samples_seen
        self.wall_seconds = state.wall_seconds

    def state(self) -> TrainingState:
        """Everything needed to go on from here."""
        scheduler, keep = self.scheduler.state_dict(), self.processes.is_first
        weights = {name: value.detach() for name, value in trainable(self.model)}
        return TrainingState(
            step=self.step,
            samples_seen=self.samples_seen,
            wall_seconds=self.wall_seconds,
            scheduler={key: scheduler[key] for key in SCHEDULER_STATE},
            weights=gathered(weights, keep),
            optimizer=gathered(optimizer_tensors(self.model, self.optimizer), keep),
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
            loss, grad_norm, stopping = self._optimizer_step(stop)
            self.step += 1
            self.samples_seen += settings.samples_per_step
            self.wall_seconds += time.perf_counter() - began
            self._pending.append(loss)
            if self.reporter is not None:
                self.reporter.step(self.step, loss)
            over = stopping or self.step == settings.max_steps
            saving = over or self.step % settings.save_steps == 0
            if saving or self.step % settings.logging_steps == 0:
                self._log(grad_norm, rate)
            evaluating = settings.eval_steps and (
                self.step % settings.eval_steps == 0 or self.step == settings.max_steps
            )
            if evaluating and (self.reporter is not None or is_sharded(self.model)):
                held_out = self._held_out_loss()
                if self.reporter is not None:
                    self.reporter.held_out_loss(self.step, *held_out)
            if saving:
                self.save(self.state())
            if stopping and self.step < settings.max_steps:
                return False
        return True

    def _optimizer_step(self, stop: StopRequest) -> tuple[float, float, bool]:
        """Loss, gradient norm, and whether any process is asked to stop."""
        settings, processes, device = self.settings, self.processes, self.device.device
        first, samples = self.samples_seen, settings.samples_per_step
        step = range(first, first + samples)
        # Gradients of several processes are averaged, where those of the whole step are meant.
        entries = self.batches.action_entries(step) / processes.count
        flow = draw_flow(self.model.config.action_head, settings.seed, first, samples)
        parts = self._parts(step)
        torch.manual_seed(sample_seed(settings.seed, parts[0].start))
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part, then in pairwise([*parts, self._parts(range(step.stop, step.stop + samples))[0]]):
            batch = self.batches.batch(part, then)
            own = slice(part.start - first, part.stop - first)
            noise, times = flow.noise[own].to(device), flow.times[own].to(device)
            last = part is parts[-1]
            with processes.synchronised(self._parallel, last), self.device.autocast():
                loss = self._parallel(batch, noise, times, entries)
                loss.backward()
            total += loss.item() / processes.count
        clipped = torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.max_grad_norm)
        norm = whole(clipped).item()
        total, stopping = processes.agree(self.step, total, stop.asked)
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
        return total, norm, stopping

    @torch.no_grad()
    def _held_out_loss(self) -> tuple[float, int]:
        """The loss on held-out episodes, and samples; the same samples, noise and times each time.

        They do not depend on the run's seed or batches, so that runs can be compared in pairs.
        """
        self.model.eval()
        flow = draw_flow(self.model.config.action_head, 0, 0, _HELD_OUT_SAMPLES)
        device, total, entries, samples = self.device.device, 0.0, 0, 0
        for batch in self.batches.held_out(_HELD_OUT_SAMPLES):
            own = slice(samples, samples + len(batch["action"]))
            kept = int(batch["action_mask"].sum())
            with self.device.autocast():
                loss = self.model(batch, flow.noise[own].to(device), flow.times[own].to(device))
            total, entries, samples = total + float(loss) * kept, entries + kept, own.stop
        self.model.train()
        return total / entries, samples

    def _parts(self, step: range) -> list[range]:
        """This process's samples of a step, ``batch_size`` at a time."""
        own = self.processes.share(len(step))
        size, start = self.settings.batch_size, step.start
        return [
            range(start + place, start + min(place + size, own.stop))
            for place in range(own.start, own.stop, size)
        ]

    def _log(self, grad_norm: float, rate: float) -> None:
        if not self._pending or self.reporter is None:
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
