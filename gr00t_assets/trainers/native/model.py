"""GR00T N1.5: backbone and action head as one module."""

import torch
from torch import Tensor, nn

from gr00t_assets.trainers.native.action_head import FlowMatchingActionHead
from gr00t_assets.trainers.native.backbone import EagleBackbone
from gr00t_assets.trainers.native.config import ModelConfig


class Gr00tN15(nn.Module):
    """N1.5 with NVIDIA's parameter names; ``state_dict`` is what a file holds.

    A batch has ``input_ids`` and ``attention_mask`` (B, L) int64, ``pixel_values``
    (B * views, 3, H, W) in [-1, 1] with one sample's views in order, ``state`` (B, 1,
    max_state_dim), ``embodiment_id`` (B,) int64, and for the loss ``action`` and ``action_mask``
    (B, horizon, action_dim).

    Args:
        config: Sizes.
        attn: Attention of the towers, ``sdpa`` or ``flash_attention_2``.
    """

    def __init__(self, config: ModelConfig, attn: str = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.backbone = EagleBackbone(config, attn)
        self.action_head = FlowMatchingActionHead(config.action_head)
        self._frozen: list[nn.Module] = []
        self.set_trainable(True, True, True, True)

    def backbone_features(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features of the prompt and its images (B, L, D), and the prompt's mask (B, L)."""
        mask = batch["attention_mask"]
        return self.backbone(batch["input_ids"], mask, batch["pixel_values"]), mask

    def forward(
        self, batch: dict[str, Tensor], noise: Tensor | None = None, t: Tensor | None = None
    ) -> Tensor:
        """Flow-matching loss of a batch, a scalar.

        Args:
            batch: See the class.
            noise: Noise (B, horizon, action_dim); drawn from torch's generator where missing.
            t: Time (B,) in [0, 1]; drawn where missing.
        """
        return self.action_head(*self.backbone_features(batch), batch, noise, t)

    @torch.no_grad()
    def get_action(
        self,
        batch: dict[str, Tensor],
        noise: Tensor | None = None,
        num_steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Predict normalised actions (B, horizon, action_dim).

        Args:
            batch: See the class; ``action`` and ``action_mask`` are not read.
            noise: What to start from; drawn where missing.
            num_steps: Denoising steps; the configuration's where missing.
            generator: Source of the noise; torch's own where missing.
        """
        features, mask = self.backbone_features(batch)
        return self.action_head.get_action(features, mask, batch, noise, num_steps, generator)

    def parts(self) -> dict[str, list[nn.Module]]:
        """Modules by the flag that trains them."""
        eagle = self.backbone.eagle_model
        return {
            "llm": [eagle.language_model],
            "visual": [eagle.vision_model, eagle.mlp1],
            "projector": self.action_head.projector(),
            "diffusion_model": [self.action_head.model],
        }

    def set_trainable(
        self, tune_llm: bool, tune_visual: bool, tune_projector: bool, tune_diffusion_model: bool
    ) -> None:
        """Freeze every part whose flag is false; frozen parts stay in evaluation mode.

        As in Isaac-GR00T, ``vlln``, ``vl_self_attention``, ``future_tokens`` and ``eagle_linear``
        belong to no flag and are always trained. SigLIP's pooling head takes no part in the
        forward pass and is never trained.
        """
        flags = {
            "llm": tune_llm,
            "visual": tune_visual,
            "projector": tune_projector,
            "diffusion_model": tune_diffusion_model,
        }
        self.requires_grad_(True)
        parts = self.parts()
        self._frozen = [module for part in parts if not flags[part] for module in parts[part]]
        for module in [*self._frozen, self.backbone.eagle_model.vision.head]:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Gr00tN15":
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
