"""Parameters, gradients and moments shared out over all processes, by torch's FSDP2.

Zhao et al. 2023, "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel". Each block's
parameters are together on a device only while the block runs. Everything that is kept has whole
tensors, so that a run goes on with another number of processes, or without sharding.
"""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from gr00t_assets.trainers.native.gr00t_model import Gr00tModel


def shard(model: Gr00tModel, device: torch.device) -> None:
    """Share out a model in place; nothing of it may be on the device meta.

    A group of parameters that are gathered together is a block, or what is left of the backbone or
    of the whole: the towers may be bfloat16 where the action head is float32, and the trained
    parameters of a group have one dtype.
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
