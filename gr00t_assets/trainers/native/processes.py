"""The processes of one training: each has a device of its own and a share of every step's samples.

``torchrun``'s own launcher starts them (``launch``) on one machine or several, and ends all once
one has failed. The first one, rank 0, alone writes: metrics, checkpoints, the manifest and the
model. It says when training begins and from which step; the others follow its spec without a file
of their own.
"""

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from gr00t_assets.core.errors import Gr00tAssetsError, TrainingError
from gr00t_assets.gpu.guard import die_with_parent
from gr00t_assets.trainers.native.sharding import is_sharded
from gr00t_assets.trainers.nodes import TIMEOUT, is_process, process_timeout

_BEGIN, _STEP, _FAILED = "gr00t/begin", "gr00t/step", "gr00t/failed"
_ENDS_WITHIN = 3.0
"""Seconds in which a process that fails has said so to the others."""


@dataclass
class Processes:
    """This process among those of its training; alone where it is the only one.

    Attributes:
        rank: Its number, from 0.
        count: Of all of them.
        local_rank: Its number among those of this machine, which is the GPU that it takes.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    _store: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def share(self, samples: int) -> range:
        """Which of the samples of a step are this process's.

        Raises:
            TrainingError: They cannot be shared out evenly.
        """
        each, left = divmod(samples, self.count)
        if left:
            problem = f"{samples} samples a step cannot be shared out over {self.count} processes."
            remedy = "take a batch_size that the number of processes divides"
            raise TrainingError("processes", problem, [remedy])
        return range(self.rank * each, (self.rank + 1) * each)

    def parallel(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model so wrapped that gradients are averaged over the processes."""
        if self._store is None or is_sharded(model):
            return model
        return DistributedDataParallel(
            model,
            device_ids=[device] if device.type == "cuda" else None,
            forward_sync_buffers=False,
            gradient_as_bucket_view=True,
        )

    def synchronised(self, model: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Where a backward pass runs: gradients are averaged after the last one of a step."""
        if isinstance(model, DistributedDataParallel) and not last:
            return model.no_sync()
        return nullcontext()

    def begin(self, step: int | None) -> None:
        """Tell the others after which step training goes on; None: it does not, or is over."""
        if self._store is not None:
            self._store.set(_BEGIN, json.dumps(step))

    def awaited_begin(self) -> int | None:
        """What the first process told, once it has; that looks at the stored data before."""
        self._store.wait([_BEGIN], timedelta(days=1))
        return json.loads(self._store.get(_BEGIN))

    def agree(self, step: int, stop: bool) -> bool:
        """Whether any process is asked to stop after a step; costs no wait for a GPU.

        Raises:
            TrainingError: Another process failed, died or hangs; it is named.
        """
        if self._store is None:
            return stop
        self._store.set(f"{_STEP}/{self.rank}", str(step))
        asked = torch.tensor(float(stop))
        dist.all_reduce(asked)
        return bool(asked > 0)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean over all processes of numbers on the CPU."""
        if self._store is None:
            return values
        total = values / self.count
        dist.all_reduce(total)
        return total

    def say_failed(self, error: Exception) -> None:
        """Leave word of why this process fails, unless it is since another one did."""
        if self._store is not None and not _of_a_call_to_all(error):
            known = isinstance(error, Gr00tAssetsError)
            text = error.explain() if known else f"{type(error).__name__}: {error}"
            with suppress(dist.DistError):
                self._store.set(f"{_FAILED}/{self.rank}", text)

    def failure_of_another(self, error: Exception) -> TrainingError | None:
        """Which other process made an error of a call to all; None for any other error."""
        if self._store is None or not _of_a_call_to_all(error):
            return None
        details = [str(error).splitlines()[0]]
        try:
            others = [rank for rank in range(self.count) if rank != self.rank]
            for rank in others:
                key = f"{_FAILED}/{rank}"
                with suppress(dist.DistStoreError):
                    self._store.wait([key], timedelta(seconds=_ENDS_WITHIN / self.count))
                if told := self._told(key):
                    problem = f"process {rank} of {self.count} failed."
                    return TrainingError("processes", problem, told.splitlines())
            steps = [int(self._told(f"{_STEP}/{rank}") or 0) for rank in range(self.count)]
            behind = [rank for rank in others if steps[rank] < steps[self.rank]] or others
            names = ", ".join(f"process {rank} (last step {steps[rank]})" for rank in behind)
            problem = f"no answer from {names} of {self.count}."
            details.append(f"{TIMEOUT} seconds are waited for all of them")
        except dist.DistError:
            problem = f"process {self.rank} of {self.count} has lost the first node."
        return TrainingError("processes", problem, details)

    def _told(self, key: str) -> str | None:
        return self._store.get(key).decode() if self._store.check([key]) else None


def _of_a_call_to_all(error: Exception) -> bool:
    """Whether an error is of a call in which all processes take part."""
    of_gloo = isinstance(error, RuntimeError) and "gloo" in str(error)
    return of_gloo or isinstance(error, dist.DistError)


@contextmanager
def joined() -> Iterator[Processes]:
    """This process among the others, which are waited for; alone where nobody started several.

    Raises:
        TrainingError: ``GR00T_ASSETS_PROCESS_TIMEOUT`` is no number of seconds.
    """
    if not is_process():
        yield Processes()
        return
    die_with_parent()
    timeout = timedelta(seconds=process_timeout())
    store, rank, count = next(rendezvous("env://", timeout=timeout))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=timeout)
    try:
        yield Processes(rank, count, int(os.environ["LOCAL_RANK"]), store)
    finally:
        dist.destroy_process_group()
