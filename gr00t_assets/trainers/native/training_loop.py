"""The training loop: one optimizer step after another, on any number of processes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor
from torch.profiler import record_function

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.runs.metrics import Metric
from gr00t_assets.trainers.attempt import StopRequest
from gr00t_assets.trainers.native import optimizer
from gr00t_assets.trainers.native.action_head import kept_rows
from gr00t_assets.trainers.native.base_models import Device
from gr00t_assets.trainers.native.batches import BatchSource, to_device
from gr00t_assets.trainers.native.data_order import draw_flow, sample_seed
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.processes import (
    Processes,
    gathered,
    is_sharded,
    part_of,
    share_out_again,
    whole,
)
from gr00t_assets.trainers.native.training_state import TrainingState
from gr00t_assets.trainers.reporter import Reporter

_HELD_OUT_SAMPLES = 256
STEP_PARTS = DATA, FORWARD, BACKWARD, OPTIMIZER = "data wait", "forward", "backward", "optimizer"
"""Names of the parts of a step in a profile."""


class StepLosses:
    """Losses and gradient norms of steps, which stay on the device until somebody asks for them.

    Reading a number from a GPU waits for all that it was given to do. So a step leaves its numbers
    where they are, and those of several are fetched in one copy where a step is logged or saved.

    Attributes:
        last: The newest loss that was fetched, ``None`` before the first one.
        grad_norm: The gradient's norm at the same step.
        learning_rate: That it was taken with.
    """

    def __init__(self, processes: Processes) -> None:
        self.last: float | None = None
        self.grad_norm = self.learning_rate = math.nan
        self._processes = processes
        self._on_device: list[tuple[int, Tensor, Tensor, float]] = []
        self._fetched: list[float] = []

    def add(self, step: int, loss: Tensor, grad_norm: Tensor, learning_rate: float) -> None:
        """Keep what a step gave, without waiting for it.

        ``loss`` is this process's, whose mean over the processes is the step's, and ``grad_norm``
        of all of them; both are scalars on any device.
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
            self.last, self.grad_norm, self.learning_rate = loss, norm, rate

    def taken(self) -> tuple[float, ...]:
        """Fetched losses, a step each, that were not taken before."""
        losses, self._fetched = tuple(self._fetched), []
        return losses


@dataclass
class TrainingLoop:
    """One run's model, optimizer and place in the data.

    The model is on its device with its trainable parts set; ``save`` is called with the state to
    keep, every ``save_steps`` and when asked to stop. What is drawn at random follows from the seed
    and the number of samples before, so that nothing of it is kept, and a step is the same however
    many processes share its samples; dropout alone is each process's own.
    """

    model: Gr00tModel
    settings: NativeHyperparameters
    batches: BatchSource
    device: Device
    reporter: Reporter | None
    save: Callable[[TrainingState], None]
    processes: Processes = field(default_factory=Processes)
    step: int = 0
    samples_seen: int = 0
    wall_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.optimizer = optimizer.make_optimizer(self.model, self.settings)
        self.scheduler = optimizer.make_scheduler(self.optimizer, self.settings)
        self._parallel = self.processes.parallel(self.model, self.device.device)
        self._losses = StepLosses(self.processes)
        named = dict(optimizer.trainable(self.model))
        self._parameters = list(named.values())
        self.average = optimizer.WeightAverage(named, self.settings.ema_decay)

    def restore(self, state: TrainingState) -> None:
        """Go back to a checkpoint: weights, moments, learning rate and place in the data."""
        model, named = self.model, dict(optimizer.trainable(self.model))
        stored = (state.weights, state.ema, state.optimizer)
        weights, ema, moments = (kept_rows(model, tensors) for tensors in stored)
        with torch.no_grad():
            for name, value in weights.items():
                named[name].copy_(part_of(value, named[name]))
        self.average.restore({name: part_of(value, named[name]) for name, value in ema.items()})
        own = {key: part_of(value, named[key.partition("/")[2]]) for key, value in moments.items()}
        optimizer.restore_optimizer(model, self.optimizer, own)
        functions = [None] * len(self.optimizer.param_groups)
        self.scheduler.load_state_dict({**state.scheduler, "lr_lambdas": functions})
        # Computed anew: the state's own rates are those of another schedule where the run goes on
        # from a shorter one.
        course = zip(self.scheduler.base_lrs, self.scheduler.lr_lambdas, strict=True)
        self.scheduler._last_lr = [base * part(self.scheduler.last_epoch) for base, part in course]
        for group, rate in zip(self.optimizer.param_groups, self.scheduler._last_lr, strict=True):
            group["lr"] = rate
        self.step, self.samples_seen = state.step, state.samples_seen
        self.wall_seconds = state.wall_seconds

    def state(self) -> TrainingState:
        """Everything needed to go on from here."""
        scheduler, keep = self.scheduler.state_dict(), self.processes.is_first
        kept = ("last_epoch", "_step_count", "_last_lr", "base_lrs")
        weights = {name: value.detach() for name, value in optimizer.trainable(self.model)}
        return TrainingState(
            step=self.step,
            samples_seen=self.samples_seen,
            wall_seconds=self.wall_seconds,
            scheduler={key: scheduler[key] for key in kept},
            weights=gathered(weights, keep),
            optimizer=gathered(optimizer.optimizer_tensors(self.model, self.optimizer), keep),
            ema=gathered(self.average.tensors, keep),
        )

    def run(self, stop: StopRequest) -> bool:
        """Train to ``max_steps``; False where it stopped before, on request, with a checkpoint.

        Raises as ``StepLosses.fetch``.
        """
        settings = self.settings
        self.model.train()
        while self.step < settings.max_steps:
            began = time.perf_counter()
            stopping = self.train_step(stop)
            last = self.step == settings.max_steps
            saving = stopping or last or self.step % settings.save_steps == 0
            logging = saving or self.step % settings.logging_steps == 0
            every = settings.eval_steps
            evaluating = every and (last or self.step % every == 0)
            if logging or evaluating:
                self._losses.fetch()
            self.wall_seconds += time.perf_counter() - began
            if self.reporter is not None:
                self.reporter.step(self.step, self._losses.last)
            if logging:
                self._log()
            if evaluating and (self.reporter is not None or is_sharded(self.model)):
                with self.average.in_use():
                    held_out = self._held_out_loss()
                if self.reporter is not None:
                    self.reporter.held_out_loss(self.step, *held_out)
            if saving:
                self.save(self.state())
            if stopping and not last:
                return False
        return True

    def train_step(self, stop: StopRequest) -> bool:
        """One optimizer step, without waiting for the device; whether any process is to stop."""
        settings, processes = self.settings, self.processes
        first, samples = self.samples_seen, settings.samples_per_step
        step = range(first, first + samples)
        # Gradients of several processes are averaged, where those of the whole step are meant.
        entries = self.batches.action_entries(step) / processes.count
        flow = draw_flow(self.model.config.action_head, settings.seed, first, samples)
        parts = self._parts(step)
        torch.manual_seed(sample_seed(settings.seed, parts[0].start))
        self.optimizer.zero_grad(set_to_none=True)
        losses = []
        for part, then in pairwise([*parts, self._parts(range(step.stop, step.stop + samples))[0]]):
            with record_function(DATA):
                batch = self.batches.batch(part, then)
                own = slice(part.start - first, part.stop - first)
                noise, times = (to_device(draws[own], self.device.device) for draws in flow)
            last = part is parts[-1]
            with processes.synchronised(self._parallel, last), self.device.autocast():
                with record_function(FORWARD):
                    loss = self._parallel(batch, noise, times, entries)
                with record_function(BACKWARD):
                    loss.backward()
            losses.append(loss.detach().double())
        rate = float(self.scheduler.get_last_lr()[0])
        with record_function(OPTIMIZER):
            norm = whole(torch.nn.utils.clip_grad_norm_(self._parameters, settings.max_grad_norm))
            self.optimizer.step()
            self.scheduler.step()
            self.average.update()
        self.step += 1
        self.samples_seen += samples
        self._losses.add(self.step, sum(losses[1:], losses[0]), norm, rate)
        return processes.agree(self.step, stop.asked)

    def try_out(self) -> None:
        """Run the model forward and backward on the first batch, and forget it."""
        part = self._parts(range(self.settings.samples_per_step))[0]
        flow = draw_flow(self.model.config.action_head, self.settings.seed, 0, len(part))
        self.model.train()
        with self.device.autocast():
            draws = [to_device(numbers, self.device.device) for numbers in flow]
            self.model(self.batches.batch(part), *draws).backward()
        self.model.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _held_out_loss(self) -> tuple[float, int]:
        """The loss on held-out episodes, and samples; the same samples, noise and times each time.

        They do not depend on the run's seed or batches, so that runs can be compared in pairs.
        """
        self.model.eval()
        flow = draw_flow(self.model.config.action_head, 0, 0, _HELD_OUT_SAMPLES)
        total = torch.zeros(2, dtype=torch.float64, device=self.device.device)
        samples = 0
        for batch in self.batches.held_out(_HELD_OUT_SAMPLES):
            own = slice(samples, samples + len(batch["action"]))
            noise, times = (to_device(draws[own], self.device.device) for draws in flow)
            with self.device.autocast():
                loss = self.model(batch, noise, times)
            kept = batch["action_mask"].sum().double()
            total += torch.stack([loss.double() * kept, kept])
            samples = own.stop
        share_out_again(self.model)
        self.model.train()
        weighted, entries = total.tolist()
        return weighted / entries, samples

    def _parts(self, step: range) -> list[range]:
        """This process's samples of a step, ``batch_size`` at a time."""
        own = self.processes.share(len(step))
        size, start = self.settings.batch_size, step.start
        return [
            range(start + place, start + min(place + size, own.stop))
            for place in range(own.start, own.stop, size)
        ]

    def _log(self) -> None:
        losses = self._losses.taken()
        if not losses or self.reporter is None:
            return
        metric = Metric(
            step=self.step,
            samples_seen=self.samples_seen,
            epoch=self.samples_seen / self.batches.samples,
            loss=sum(losses) / len(losses),
            losses=losses,
            grad_norm=self._losses.grad_norm,
            learning_rate=self._losses.learning_rate,
            wall_seconds=self.wall_seconds,
        )
        self.reporter.metric(metric)
