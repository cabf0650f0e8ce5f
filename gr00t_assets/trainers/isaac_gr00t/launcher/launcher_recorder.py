"""Metrics, checkpoints and facts of a running training. Runs under the checkout's Python."""

import errno
import importlib.metadata
import json
import math
import os
import platform
import resource
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

from launcher_checkpoints import mark_complete, refuse_nan, samples_seen, save_merged, write_json

ADAPTED = "base_model.model."
"""In front of every name once LoRA is around the model."""

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

    def __init__(self, launch: dict[str, Any], stop: StopRequest) -> None:
        self.stopped = False
        self._launch = launch
        self._stop = stop
        self._is_first_rank = int(os.environ.get("RANK", "0")) == 0
        self._is_distributed = int(os.environ.get("WORLD_SIZE", "1")) > 1
        self._device: Any = None
        self._facts: dict[str, Any] = {}
        self._batches: list[Any] = []
        self._losses: list[Any] = []
        self._new_samples = 0
        self._samples_seen = samples_seen(launch)
        self._wall_seconds = launch["wall_seconds"]
        self._last_time = 0.0

    def batch_done(self, loss: Any, samples: int) -> None:
        """Count one batch's loss; it stays on its device until it is logged."""
        self._batches.append(loss.detach().float())
        self._new_samples += samples

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record facts about the model, which is on its device, and the machine.

        Raises:
            StoppedError: Somebody asked to stop already.
            RefusedError: A weight is not finite.
        """
        refuse_nan(kwargs["model"])
        assert state.global_step == self._launch["resume_step"], "resumed at another step"
        self._device = args.device
        self._facts = {
            **describe_model(kwargs["model"], self._launch["parts"]),
            **describe_machine(args.device),
        }
        self.write_facts()
        if self._stop_asked():
            self.stopped = True
            raise StoppedError
        self._last_time = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count a step, and say whether to log, to save and to stop after it."""
        import torch

        now = time.perf_counter()
        self._wall_seconds += now - self._last_time
        self._last_time = now
        self._losses.append(torch.stack(self._batches).mean())
        self._batches.clear()
        last = state.global_step >= state.max_steps
        if self._stop_asked() and not last:
            self.stopped = control.should_training_stop = True
        if last or self.stopped:
            control.should_save = True
        # A checkpoint's losses are logged before it, so that none is missing after a resume.
        if control.should_save:
            control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any, **kwargs: Any) -> None:
        """Write one line of ``metrics.jsonl`` over the steps since the last one.

        Raises:
            DivergedError: A loss or the gradient's norm is not finite.
        """
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
            append_line(Path(self._launch["metrics"]), metric)
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
                save_merged(kwargs["model"], output)
            record = {
                "step": state.global_step,
                "config_hash": self._launch["config_hash"],
                "wall_seconds": self._wall_seconds,
                "samples_seen": self._samples_seen,
            }
            mark_complete(output, record, Path(self._launch["metrics"]))
        self._last_time = time.perf_counter()

    def write_facts(self) -> None:
        """Write what is known of model and machine, with the memory that was needed so far."""
        if self._is_first_rank and self._facts:
            facts = {**self._facts, "peak_memory_bytes": peak_memory_bytes(self._device)}
            write_json(Path(self._launch["facts"]), facts)

    def _gather(self) -> tuple[list[float], int]:
        """Losses of the steps since the last line, mean over the processes; samples of them all."""
        import torch

        losses = torch.stack(self._losses).double()
        samples = torch.tensor(float(self._new_samples), dtype=torch.double, device=losses.device)
        self._losses.clear()
        self._new_samples = 0
        if self._is_distributed:
            summed = torch.cat([losses, samples[None]])
            torch.distributed.all_reduce(summed)
            losses, samples = summed[:-1] / torch.distributed.get_world_size(), summed[-1]
        return losses.tolist(), int(samples.item())

    def _stop_asked(self) -> bool:
        if not self._is_distributed:
            return self._stop.asked
        import torch

        requests = torch.tensor(float(self._stop.asked), device=self._device)
        torch.distributed.all_reduce(requests)
        return bool(requests.item())


def append_line(path: Path, content: dict[str, Any]) -> None:
    """Add one line of JSON in a single write; numbers that are not finite as strings."""

    def finite(value: Any) -> Any:
        if isinstance(value, list):
            return [finite(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return value

    line = (json.dumps({name: finite(value) for name, value in content.items()}) + "\n").encode()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            # What a kill or a full disk tore stays a line of its own.
            line = b"\n" + line
        written = os.write(descriptor, line)
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)


def describe_model(model: Any, parts: dict[str, list[str]]) -> dict[str, Any]:
    """``parameters`` and ``trainable_parameters`` of the run's manifest.

    ``parts`` are the beginnings of the names of each part's parameters; what belongs to none is
    ``other``.
    """
    trained = dict.fromkeys((*parts, "other"), 0)
    total = 0
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
    bare = name[len(ADAPTED) :] if name.startswith(ADAPTED) else name
    return next((part for part, starts in parts.items() if bare.startswith(tuple(starts))), "other")


def describe_machine(device: Any) -> dict[str, Any]:
    """``device``, ``device_uuid``, ``gpus`` and ``versions`` of the run's manifest."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
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
