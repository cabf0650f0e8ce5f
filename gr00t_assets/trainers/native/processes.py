"""The processes of one training: each has a device of its own and a share of every step's samples.

``torchrun``'s own launcher starts them (``__main__``) on one machine or several, and ends all once
one has failed. The first one, rank 0, alone writes: metrics, checkpoints, the manifest and the
model. It says when training begins and from which step; the others follow its spec without a file
of their own.

Parameters, gradients and moments may be shared out over them by torch's FSDP2 (Zhao et al. 2023,
"PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel"). Each block's parameters are
together on a device only while the block runs. Everything that is kept has whole tensors, so that a
run goes on with another number of processes, or without sharding.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from gr00t_assets.core.errors import Gr00tAssetsError, TrainingError
from gr00t_assets.gpu.guard import die_with_parent
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel
from gr00t_assets.trainers.nodes import TIMEOUT, is_process, process_timeout

_BEGIN, _STEP, _FAILED = "gr00t/begin", "gr00t/step", "gr00t/failed"
_ENDS_WITHIN = 3.0  # Seconds in which a process that fails has said so to the others.


@dataclass
class Processes:
    """This process among those of its training; alone where it is the only one."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0  # Among those of this machine; it is the GPU that it takes.
    _store: Any = None
    _asked: tuple[torch.Tensor, Any] | None = None

    @property
    def is_first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def share(self, samples: int) -> range:
        """Which of the samples of a step are this process's.

        Raises:
            TrainingError: They cannot be shared out evenly.
        """
        share, left = divmod(samples, self.count)
        if left:
            problem = f"{samples} samples a step cannot be shared out over {self.count} processes."
            remedy = "take a batch_size that the number of processes divides"
            raise TrainingError("processes", problem, [remedy])
        return range(self.rank * share, (self.rank + 1) * share)

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
        """Whether any process is asked to stop; others are heard a step later, and not waited for.

        Raises:
            TrainingError: Another process failed, died or hangs; it is named.
        """
        if self._store is None:
            return stop
        self._store.set(f"{_STEP}/{self.rank}", str(step))
        before, asked = self._asked, torch.tensor(float(stop))
        self._asked = asked, dist.all_reduce(asked, async_op=True)
        if before is None:
            return False
        asked, exchange = before
        exchange.wait()
        return bool(asked > 0)

    def mean(self, values: Tensor) -> Tensor:
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
                if failure := self._told(key):
                    problem = f"process {rank} of {self.count} failed."
                    return TrainingError("processes", problem, failure.splitlines())
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


def shard(model: Gr00tModel, device: torch.device) -> None:
    """Share out a model in place; nothing of it may be on the device meta.

    Parameters are gathered by layer, then what is left of the backbone, then of the whole: trained
    ones of a group have one dtype, and the towers may be bfloat16 where the action head is not.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:  # What LoRA has drawn may differ.
            dist.broadcast(parameter.data, 0)
    if device.type == "cuda":
        # A cast that is kept for the backward pass would be of the whole model.
        torch.set_autocast_cache_enabled(False)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for module in [*model.layers(), model.backbone, model]:
        fully_shard(module, mesh=mesh)


def is_sharded(model: nn.Module) -> bool:
    """Whether a model is shared out."""
    return isinstance(model, FSDPModule)


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which each process has a part, as one; every process has to ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gathered(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """Whole tensors one after the other, on the CPU where they were shared out.

    ``keep`` is whether this process wants them; the others take part and have none.
    """
    result = {}
    for name, tensor in tensors.items():
        full = whole(tensor)
        if keep:
            result[name] = full.cpu() if isinstance(tensor, DTensor) else full
    return result


def part_of(tensor: Tensor, parameter: Tensor) -> Tensor:
    """This process's part of a whole tensor, as ``parameter`` of the same shape is shared out."""
    if not isinstance(parameter, DTensor) or tensor.shape != parameter.shape:
        return tensor
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(tensor.to(parameter.device), mesh, placements, src_data_rank=None)


def share_out_again(model: nn.Module) -> None:
    """Free what a forward pass without a backward pass leaves gathered, so that parts are seen."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def unshard(model: nn.Module, keep: bool) -> None:
    """Put whole parameters on the CPU in place of the parts; the model is not run any more.

    ``keep`` is as of ``gathered``; elsewhere the model has no memory afterwards.
    """
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            full = whole(parameter.detach()).to("cpu" if keep else "meta")
            setattr(module, name, nn.Parameter(full, parameter.requires_grad))
