"""The training loop: one optimizer step after another, on any number of processes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch.profiler import record_function

from gr00t_assets.runs.metrics import Metric
from gr00t_assets.trainers.attempt import StopRequest
from gr00t_assets.trainers.native.action_head import kept_rows
from gr00t_assets.trainers.native.base_models import Device
from gr00t_assets.trainers.native.batch_tensors import to_device
from gr00t_assets.trainers.native.batches import BatchSource, draw_flow, sample_seed
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.optimizer import (
    WeightAverage,
    make_optimizer,
    make_scheduler,
    optimizer_tensors,
    restore_optimizer,
    trainable,
)
from gr00t_assets.trainers.native.processes import Processes
from gr00t_assets.trainers.native.sharding import (
    gathered,
    is_sharded,
    part_of,
    share_out_again,
    whole,
)
from gr00t_assets.trainers.native.step_losses import StepLosses
from gr00t_assets.trainers.native.training_state import TrainingState
from gr00t_assets.trainers.reporter import Reporter

_HELD_OUT_SAMPLES = 256
STEP_PARTS = DATA, FORWARD, BACKWARD, OPTIMIZER = "data wait", "forward", "backward", "optimizer"
"""Names of the parts of a step in a profile."""

SCHEDULER_STATE = ("last_epoch", "_step_count", "_last_lr", "base_lrs")


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
        self.optimizer = make_optimizer(self.model, self.settings)
        self.scheduler = make_scheduler(self.optimizer, self.settings)
        self._parameters = [parameter for _, parameter in trainable(self.model)]
        self._parallel = self.processes.parallel(self.model, self.device.device)
        self._losses = StepLosses(self.processes)
        self.average = WeightAverage(dict(trainable(self.model)), self.settings.ema_decay)

    def restore(self, state: TrainingState) -> None:
        """Go back to a checkpoint: weights, moments, learning rate and place in the data."""
        named = dict(trainable(self.model))
        kept = (state.weights, state.ema, state.optimizer)
        weights, ema, optimizer = (kept_rows(self.model, tensors) for tensors in kept)
        with torch.no_grad():
            for name, value in weights.items():
                named[name].copy_(part_of(value, named[name]))
        self.average.restore({name: part_of(value, named[name]) for name, value in ema.items()})
        moments = {
            key: part_of(value, named[key.partition("/")[2]]) for key, value in optimizer.items()
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
            ema=gathered(self.average.tensors, keep),
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
            stopping = self.train_step(stop)
            over = stopping or self.step == settings.max_steps
            saving = over or self.step % settings.save_steps == 0
            logging = saving or self.step % settings.logging_steps == 0
            evaluating = settings.eval_steps and (
                self.step % settings.eval_steps == 0 or self.step == settings.max_steps
            )
            if logging or evaluating:
                self._losses.fetch()
            self.wall_seconds += time.perf_counter() - began
            if self.reporter is not None:
                self.reporter.step(self.step, self._losses.last)
            if logging:
                self._log(rate)
            if evaluating and (self.reporter is not None or is_sharded(self.model)):
                with self.average.in_use():
                    held_out = self._held_out_loss()
                if self.reporter is not None:
                    self.reporter.held_out_loss(self.step, *held_out)
            if saving:
                self.save(self.state())
            if stopping and self.step < settings.max_steps:
                return False
        return True

    def train_step(self, stop: StopRequest) -> bool:
        """One optimizer step, which waits for nothing that the device computes.

        Returns:
            Whether any process is asked to stop.
        """
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
        with record_function(OPTIMIZER):
            norm = whole(torch.nn.utils.clip_grad_norm_(self._parameters, settings.max_grad_norm))
            rate = float(self.scheduler.get_last_lr()[0])
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

    def _log(self, rate: float) -> None:
        losses = self._losses.taken()
        if not losses or self.reporter is None:
            return
        self.reporter.metric(
            Metric(
                step=self.step,
                samples_seen=self.samples_seen,
                epoch=self.samples_seen / self.batches.samples,
                loss=sum(losses) / len(losses),
                losses=losses,
                grad_norm=self._losses.grad_norm,
                learning_rate=rate,
                wall_seconds=self.wall_seconds,
            )
        )
