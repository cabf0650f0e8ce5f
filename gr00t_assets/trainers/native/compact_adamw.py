"""AdamW in less memory: moments of 8 bits, weights of 16 bits, or both.

Each parameter is updated in float32 by torch's own AdamW and put back into its type. Moments are
quantised in blocks by bitsandbytes (Dettmers et al. 2021, "8-bit Optimizers via Block-wise
Quantization"). Weights of 16 bits are rounded at random to one of their two neighbours, the nearer
one more often, so that updates below their precision are not lost on average (Gupta et al. 2015,
"Deep Learning with Limited Numerical Precision").
"""

import importlib.util
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim.adamw import adamw

from gr00t_assets.core.errors import TrainingError

MOMENTS = ("exp_avg", "exp_avg_sq")

BLOCK, SMALLEST = 256, 4096
"""Numbers that share a scale, and those of the smallest parameter whose moments have 8 bits: both
as in bitsandbytes' own AdamW."""

_SCALE = "_scale"


def stochastically_rounded(values: Tensor, generator: torch.Generator) -> Tensor:
    """float32 as bfloat16 that is equal to it on average; a bfloat16 stays what it is."""
    low = 1 << 16  # The 16 bits of float32 that bfloat16 does not have.
    shape, device = values.shape, values.device
    noise = torch.randint(0, low, shape, dtype=torch.int32, device=device, generator=generator)
    rounded = noise.add_(values.view(torch.int32)).bitwise_and_(-low)
    return rounded.view(torch.float32).bfloat16()


class CompactAdamW(torch.optim.AdamW):
    """AdamW whose moments ``exp_avg`` and ``exp_avg_sq`` are float32, or uint8 with scales.

    Groups have every setting of AdamW. By ``seed`` and the step weights are rounded alike in every
    process of a training.

    Raises:
        TrainingError: 8 bits are asked for and bitsandbytes is missing, or parameters are sharded.
    """

    def __init__(self, groups: list[dict[str, Any]], seed: int, eight_bits: bool) -> None:
        super().__init__(groups)
        self._seed, self._eight_bits = seed, eight_bits
        if not eight_bits:
            return
        if importlib.util.find_spec("bitsandbytes") is None:
            remedy = ".venv/bin/pip install -c constraints.txt -e '.[eight-bit]'"
            raise TrainingError("optimizer", "adamw_8bit needs bitsandbytes.", [remedy])
        if any(isinstance(p, DTensor) for group in groups for p in group["params"]):
            remedy = "take optimizer: adamw, or no sharding"
            raise TrainingError("optimizer", "adamw_8bit does not take sharded weights.", [remedy])
        from bitsandbytes import functional  # pyright: ignore[reportMissingImports]

        self._functional = functional
        self._codes = {
            name: functional.create_dynamic_map(signed=name == "exp_avg") for name in MOMENTS
        }

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every parameter that has a gradient."""
        generators: dict[torch.device, torch.Generator] = {}
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group, generators)

    def _update(
        self, parameter: Tensor, group: dict[str, Any], generators: dict[torch.device, Any]
    ) -> None:
        weight, gradient = _local(parameter), _local(parameter.grad).float()
        state = self.state[parameter] or self._new_state(parameter)
        full = weight.float()
        moments = [self._moment(state, name) for name in MOMENTS]
        beta1, beta2 = group["betas"]
        settings = {name: group[name] for name in ("lr", "weight_decay", "eps")}
        adamw(
            [full], [gradient], [moments[0]], [moments[1]], [], [state["step"]],
            fused=True, amsgrad=False, maximize=False, beta1=beta1, beta2=beta2, **settings,
        )  # fmt: skip
        for name, moment in zip(MOMENTS, moments, strict=True):
            if name + _SCALE in state:
                self._keep(state, name, moment)
        if weight.dtype == torch.bfloat16:
            if (device := weight.device) not in generators:
                seed = (self._seed * 1_000_003 + int(state["step"])) % 2**63
                generators[device] = torch.Generator(device).manual_seed(seed)
            full = stochastically_rounded(full, generators[device])
        weight.copy_(full)

    def _new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        state["step"] = torch.zeros((), device=parameter.device)
        for name in MOMENTS:
            state[name] = torch.zeros_like(parameter, dtype=torch.float32)
            if self._eight_bits and parameter.numel() >= SMALLEST:
                self._keep(state, name, state[name])
        return state

    def _moment(self, state: dict[str, Tensor], name: str) -> Tensor:
        if name + _SCALE not in state:
            return _local(state[name])
        code, scale = self._code(name, state[name].device), state[name + _SCALE]
        dequantize = self._functional.dequantize_blockwise
        return dequantize(state[name], absmax=scale, code=code, blocksize=BLOCK)

    def _keep(self, state: dict[str, Tensor], name: str, moment: Tensor) -> None:
        code, quantize = self._code(name, moment.device), self._functional.quantize_blockwise
        state[name], quantised = quantize(moment, code=code, blocksize=BLOCK)
        state[name + _SCALE] = quantised.absmax

    def _code(self, name: str, device: torch.device) -> Tensor:
        code = self._codes[name] = self._codes[name].to(device)
        return code


def _local(tensor: Any) -> Tensor:
    """A process's own part of a sharded tensor, which is changed in place."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
