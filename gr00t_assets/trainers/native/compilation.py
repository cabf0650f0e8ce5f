"""torch.compile of the layers of the model, which go uncompiled where it does not work."""

from collections.abc import Callable

import torch
from torch import nn

from gr00t_assets.trainers.native.dit import Block
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel

_VARIANTS = 64
"""Kinds of layers times shapes times modes of training that are compiled, where torch stops at 8.

All modules that are compiled in place share one count in torch.
"""

_LONGEST = 200
"""Characters of a reason."""


def compile_layers(model: Gr00tModel, attempt: Callable[[], object]) -> str | None:
    """Compile each layer of the towers and of the action head in place; no name changes.

    Layers of one kind share what is compiled, so that it takes as long as one of each.

    Args:
        model: Its parts are set to be trained or frozen already.
        attempt: Runs the model forward and backward, which is when torch compiles.

    Returns:
        Why nothing is compiled; ``None`` where it is.

    Raises:
        torch.OutOfMemoryError: The GPU has too little memory.
    """
    layers = _layers(model)
    torch._dynamo.config.recompile_limit = _VARIANTS
    for layer in layers:
        layer.compile()
    try:
        attempt()
    except torch.OutOfMemoryError:
        raise
    # Compilers fail in ways of their own: of dynamo, of inductor, of the system.
    except Exception as error:
        for layer in layers:
            layer._compiled_call_impl = None
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[0][:_LONGEST] if lines else type(error).__name__
    # A shape that comes later and cannot be compiled is no reason to end a training.
    torch._dynamo.config.suppress_errors = True
    return None


def _layers(model: Gr00tModel) -> list[nn.Module]:
    blocks = [module for module in model.action_head.modules() if isinstance(module, Block)]
    return [*model.tower_layers(), *blocks]
