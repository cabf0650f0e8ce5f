"""Metrics, checkpoints and facts of a running training, and what every script gets of it.

Runs under the checkout's Python.
"""

import contextlib
import importlib
import importlib.metadata
import math
import os
import platform
import resource
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import launcher_checkpoints as checkpoints

ADAPTED = "base_model.model."  # in front of every name once LoRA is around the model

PACKAGES = ("torch", "transformers", "accelerate", "flash-attn", "peft", "numpy")


class StoppedError(Exception):
    """Asked to stop before the first step."""


class DivergedError(Exception):
    """The loss or the gradient is no longer a finite number."""


class StopRequest:
    """A request to stop: the driver made ``file``, or Ctrl-C or SIGTERM came.

    A second one, at least a second later, ends at once; a cancelled job may be signalled twice.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._signalled: float | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    @property
    def asked(self) -> bool:
        """Whether somebody asked."""
        return self._signalled is not None or self._file.exists()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signalled = self._signalled or time.monotonic()
        if time.monotonic() - self._signalled > 1.0:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


class Recorder:
    """Metrics, checkpoints, facts, and the answer to a request to stop.

    Its ``on_`` methods are those of transformers' ``TrainerCallback``, which it is mixed into. With
    several processes all of them count and decide together; the first one alone writes.
    """

    def __init__(self, launch: checkpoints.Launch, stop: StopRequest) -> None:
        self._launch, self._stop, self.stopped = launch, stop, False
        self._is_first_rank = int(os.environ.get("RANK", "0")) == 0
        self._is_distributed = int(os.environ.get("WORLD_SIZE", "1")) > 1
        self._device: Any = None
        self._facts: dict[str, Any] = {}
        self._batches: list[Any] = []
        self._losses: list[Any] = []
        self._new_samples, self._samples_seen = 0, launch["samples_seen"]
        self._last_time, self._wall_seconds = 0.0, launch["wall_seconds"]

    def batch_done(self, loss: Any, samples: int) -> None:
        """Count one batch's loss; it stays on its device until it is logged."""
        self._batches.append(loss.detach().float())
        self._new_samples += samples

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record facts about the model, which is on its device, and the machine.

        Weights that are not finite are refused, and where somebody asked to stop already it ends.
        """
        checkpoints.refuse_nan(kwargs["model"])
        assert state.global_step == self._launch["resume_step"], "resumed at another step"
        self._device, machine = args.device, describe_machine(args.device)
        self._facts = {**describe_model(kwargs["model"], self._launch["parts"]), **machine}
        self.write_facts()
        if self._stop_asked():
            self.stopped = True
            raise StoppedError
        self._last_time = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count a step, and say whether to log, to save and to stop after it."""
        import torch

        before, self._last_time = self._last_time, time.perf_counter()
        self._wall_seconds += self._last_time - before
        self._losses.append(torch.stack(self._batches).mean())
        self._batches.clear()
        last = state.global_step >= state.max_steps
        if self._stop_asked() and not last:
            self.stopped = control.should_training_stop = True
        control.should_save = control.should_save or last or self.stopped
        # A checkpoint's losses are logged before it, so that none is missing after a resume.
        control.should_log = control.should_log or control.should_save

    def on_log(self, args: Any, state: Any, control: Any, logs: Any, **kwargs: Any) -> None:
        """Write one line of ``metrics.jsonl`` over the steps since the last; end what diverged."""
        if "learning_rate" not in logs:  # the totals at the end, which are no step's
            return
        losses, samples = self._gather()
        self._samples_seen += samples
        norm = logs["grad_norm"]
        metric = {
            "step": state.global_step,
            "samples_seen": self._samples_seen,
            "epoch": self._samples_seen / self._launch["dataset_frames"],
            "loss": sum(losses) / len(losses),
            "losses": losses,
            "grad_norm": norm,
            "learning_rate": logs["learning_rate"],
            "wall_seconds": self._wall_seconds,
        }
        if self._is_first_rank:
            checkpoints.append_line(Path(self._launch["metrics"]), metric)
        if not all(map(math.isfinite, [*losses, norm])):
            raise DivergedError(
                f"step {state.global_step}: the loss is {losses[-1]}, the gradient's norm {norm}: "
                "training has diverged\n"
                f"  learning rate at this step: {logs['learning_rate']:.3e}\n"
                "  lower learning_rate, or raise warmup_ratio, in the sweep file"
            )

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark the checkpoint that was just written as complete."""
        if self._is_distributed:
            import torch.distributed

            torch.distributed.barrier()
        if self._is_first_rank:
            output = Path(args.output_dir)
            last = state.global_step >= state.max_steps
            if last and self._launch["arguments"].get("lora_rank", 0) > 0:
                checkpoints.save_merged(kwargs["model"], output)
            record = {
                "step": state.global_step,
                "config_hash": self._launch["config_hash"],
                "wall_seconds": self._wall_seconds,
                "samples_seen": self._samples_seen,
            }
            checkpoints.mark_complete(output, record, Path(self._launch["metrics"]))
        self._last_time = time.perf_counter()

    def write_facts(self) -> None:
        """Write what is known of model and machine, with the memory that was needed so far."""
        if self._is_first_rank and self._facts:
            facts = {**self._facts, "peak_memory_bytes": peak_memory_bytes(self._device)}
            checkpoints.write_json(Path(self._launch["facts"]), facts)

    def _gather(self) -> tuple[list[float], int]:
        """Losses of the steps since the last line, mean over the processes; samples of them all."""
        import torch

        losses = torch.stack(self._losses).double()
        summed = torch.cat([losses, losses.new_tensor([self._new_samples])])
        self._losses.clear()
        self._new_samples, processes = 0, 1
        if self._is_distributed:
            torch.distributed.all_reduce(summed)
            processes = torch.distributed.get_world_size()
        *losses, samples = summed.tolist()
        return [loss / processes for loss in losses], int(samples)

    def _stop_asked(self) -> bool:
        if not self._is_distributed:
            return self._stop.asked
        import torch

        requests = torch.tensor(float(self._stop.asked), device=self._device)
        torch.distributed.all_reduce(requests)
        return bool(requests.item())


def describe_model(model: Any, parts: dict[str, list[str]]) -> dict[str, Any]:
    """``parameters`` and ``trainable_parameters`` of the run's manifest.

    ``parts`` are the beginnings of the names of each part's parameters; what belongs to none is
    ``other``.
    """
    trained, total = dict.fromkeys((*parts, "other"), 0), 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        if parameter.requires_grad:
            trained[part_of(name, parts)] += parameter.numel()
    return {"parameters": total, "trainable_parameters": trained}


def part_of(name: str, parts: dict[str, list[str]]) -> str:
    """The part that a parameter belongs to.

    Examples:
        >>> name = "base_model.model.action_head.model.proj_out_1.weight"
        >>> part_of(name, {"diffusion_model": ["action_head.model."]})
        'diffusion_model'
    """
    bare = name.removeprefix(ADAPTED)
    return next((part for part, starts in parts.items() if bare.startswith(tuple(starts))), "other")


def describe_machine(device: Any) -> dict[str, Any]:
    """``device``, ``device_uuid``, ``gpus`` and ``versions`` of the run's manifest."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    if device.type != "cuda":
        return {"device": "cpu", "device_uuid": None, "gpus": 0, "versions": versions}
    import torch

    # A torch before 2.4 does not tell it.
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return {
        "device": torch.cuda.get_device_name(device),
        "device_uuid": None if uuid is None else f"GPU-{uuid}",
        "gpus": int(os.environ.get("WORLD_SIZE", "1")),
        "versions": versions,
    }


def peak_memory_bytes(device: Any) -> int:
    """Highest GPU memory that torch reserved; on a CPU the process's own."""
    if device is not None and device.type == "cuda":
        import torch

        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def replaced_arguments(original: Any, launch: checkpoints.Launch) -> Any:
    """What the script calls in place of ``TrainingArguments``."""

    def training_arguments(**keywords: Any) -> Any:
        import torch

        settings = {**keywords, **launch["training_arguments"]}
        # The driver reports to W&B, and deletes old checkpoints once a new one is complete.
        settings.update(report_to="none", save_total_limit=None, save_strategy="steps")
        if not torch.cuda.is_available():
            settings.pop("tf32", None)
            settings["use_cpu"] = True
        if not settings.get("dataloader_num_workers"):
            settings.update(dataloader_prefetch_factor=None, dataloader_persistent_workers=False)
        return original(**settings)

    return training_arguments


def add_recorder(trainer: Any, launch: checkpoints.Launch, stop: StopRequest) -> Recorder:
    """Have a recorder follow the checkout's trainer class, in place of transformers' printing."""
    from transformers import TrainerCallback

    module: Any = importlib.import_module("transformers.trainer")
    recorder = type("LauncherCallback", (Recorder, TrainerCallback), {})(launch, stop)
    compute = trainer.compute_loss

    def compute_loss(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        result = compute(self, model, inputs, *args, **kwargs)
        loss = result[0] if isinstance(result, tuple) else result
        recorder.batch_done(loss, len(inputs.get("inputs", inputs)["action"]))
        return result

    trainer.compute_loss = compute_loss
    module.DEFAULT_CALLBACKS.append(recorder)
    # The driver prints the metrics.
    module.PrinterCallback = TrainerCallback
    return recorder
