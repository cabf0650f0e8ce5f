"""What the models of every generation of GR00T share: a backbone, an action head, trained parts."""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from gr00t_assets.trainers.native.action_head import FlowMatchingActionHead
from gr00t_assets.trainers.native.dit import Block
from gr00t_assets.trainers.native.prompts import PromptFormat


def attention_implementation(requested: str = "sdpa") -> str:
    """The attention that the towers get.

    ``flash_attention_2`` is granted where ``flash_attn`` is importable and there is a CUDA device;
    elsewhere the answer is ``sdpa``. Flash attention needs 16-bit weights or autocast.
    """
    if requested != "flash_attention_2":
        return requested
    usable = importlib.util.find_spec("flash_attn") is not None and torch.cuda.is_available()
    return requested if usable else "sdpa"


class Gr00tModel(nn.Module, ABC):
    """A model with NVIDIA's parameter names; ``state_dict`` is what a file holds.

    A batch has ``input_ids`` and ``attention_mask`` (B, L) int64, ``pixel_values`` as the backbone
    takes them, ``state`` (B, 1, max_state_dim), ``embodiment_id`` (B,) int64, or (1,) where all samples
    have the same, and for the loss ``action`` and ``action_mask`` (B, horizon, action_dim). Without ``attention_mask`` nothing is
    padded; ``image_places`` spares asking the GPU where the image tokens are; see
    ``batch_tensors.placed``.

    Attributes:
        prompt: Of its generation.
        lm_head: Name in files of what is tied to the embeddings and not part of the model.
        embedding: Name of the embeddings.
    """

    prompt: ClassVar[PromptFormat]
    lm_head: ClassVar[str]
    embedding: ClassVar[str]
    config: Any
    backbone: Any
    action_head: FlowMatchingActionHead
    _frozen: list[nn.Module]

    @abstractmethod
    def backbone_features(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Features of the prompt and its images (B, L, D), and what the head is told of each."""

    @property
    def attention(self) -> str:
        """The attention of the towers, as transformers names it."""
        return self.towers()[1].config._attn_implementation

    @abstractmethod
    def pixels(self, images: Tensor) -> dict[str, Tensor]:
        """What a batch has of images (N, 3, height, width) uint8, on their device."""

    @abstractmethod
    def parts(self) -> dict[str, list[nn.Module]]:
        """Modules by the flag that trains them, in the order of ``set_trainable``."""

    @abstractmethod
    def towers(self) -> list[Any]:
        """The vision tower and the text tower of transformers."""

    @abstractmethod
    def tower_layers(self) -> list[nn.Module]:
        """Every layer of both towers."""

    @abstractmethod
    def unused(self) -> Iterable[nn.Module]:
        """Modules that files hold and the forward pass never reads."""

    def forward(
        self, batch: dict[str, Tensor], noise: Tensor, t: Tensor, entries: float | None = None
    ) -> Tensor:
        """Flow-matching loss of a batch, a scalar; see ``FlowMatchingActionHead.forward``.

        ``noise`` is (B, horizon, action_dim), the times ``t`` are (B,) in [0, 1].
        """
        return self.action_head(*self.backbone_features(batch), batch, noise, t, entries)

    def set_trainable(
        self, tune_llm: bool, tune_visual: bool, tune_projector: bool, tune_diffusion_model: bool
    ) -> None:
        """Freeze every part whose flag is false; frozen parts stay in evaluation mode.

        As in Isaac-GR00T, what belongs to no flag, as ``vlln`` and ``vl_self_attention``, is always
        trained. What takes no part in the forward pass never is.
        """
        flags = (tune_llm, tune_visual, tune_projector, tune_diffusion_model)
        self.requires_grad_(True)
        parts = zip(self.parts().values(), flags, strict=True)
        self._frozen = [module for part, trained in parts if not trained for module in part]
        for module in [*self._frozen, *self.unused()]:
            module.requires_grad_(False)
        for parameter in self.parameters():
            if not parameter.numel():  # The future tokens of a model without any.
                parameter.requires_grad_(False)
        self.train(self.training)

    def recompute_activations(self) -> None:
        """Keep less of the forward pass: the backward pass computes each layer once more.

        Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
        """
        for tower in self.towers():
            # Its name in earlier releases of transformers 5 is the other one.
            old = tower.gradient_checkpointing_enable
            getattr(tower, "activation_checkpointing_enable", old)()
        for module in self.modules():
            if isinstance(module, Block):
                module.recomputed = True

    def train(self, mode: bool = True) -> Self:
        """Set training mode on the parts that are trained."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def trainable_parameters(self) -> dict[str, int]:
        """Number of trained parameters: llm, visual, projector, diffusion_model, other."""
        counts = {
            part: sum(_trained(module) for module in modules)
            for part, modules in self.parts().items()
        }
        return {**counts, "other": _trained(self) - sum(counts.values())}


def _trained(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
