"""The diffusion transformer of N1.5's action head, and its self-attention over the features.

Blocks, names and numerics are those of Isaac-GR00T's ``cross_attention_dit.py`` on diffusers'
``Attention``, ``FeedForward``, ``Timesteps`` and ``TimestepEmbedding``, written anew in plain
torch. One difference: cross-attention and self-attention over features take a key mask, so that
padded prompt tokens have no influence.
"""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from gr00t_assets.trainers.n15.architecture import DiffusionModelConfig, SelfAttentionConfig


class Attention(nn.Module):
    """Multi-head attention with biases, from ``width`` channels to ``context_width`` channels."""

    def __init__(self, width: int, context_width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(context_width, width)
        self.to_v = nn.Linear(context_width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width), nn.Dropout(dropout)])

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, context: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Attend from ``x`` (B, T, C) to ``context`` (B, S, D); ``key_mask`` (B, 1, 1, S) bool."""
        q, k, v = self._by_head(self.to_q(x)), self.to_k(context), self.to_v(context)
        attended = F.scaled_dot_product_attention(
            q, self._by_head(k), self._by_head(v), attn_mask=key_mask
        )
        projection, dropout = self.to_out
        return dropout(projection(attended.transpose(1, 2).flatten(2)))


def _sequence(**modules: nn.Module) -> nn.Sequential:
    """Modules one after the other, by the names that their parameters have in NVIDIA's files."""
    return nn.Sequential(OrderedDict(modules))


class AdaLayerNorm(nn.Module):
    """Layer norm whose scale and shift come from the timestep's embedding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width, eps=1e-5, elementwise_affine=False)

    def forward(self, x: Tensor, timestep: Tensor) -> Tensor:
        """Normalise ``x`` (B, T, C) under ``timestep`` (B, C)."""
        scale, shift = self.linear(F.silu(timestep)).unsqueeze(1).chunk(2, dim=-1)
        return self.norm(x) * (1 + scale) + shift


class Block(GradientCheckpointingLayer):
    """Attention and feed-forward, each after a norm and around a residual."""

    def __init__(
        self, config: SelfAttentionConfig, context_width: int | None, adaptive: bool
    ) -> None:
        super().__init__()
        width = config.width
        self.norm1 = AdaLayerNorm(width) if adaptive else nn.LayerNorm(width, eps=1e-5)
        heads, dropout = config.num_attention_heads, config.dropout
        self.attn1 = Attention(width, context_width or width, heads, dropout)
        self.norm3 = nn.LayerNorm(width, eps=1e-5, elementwise_affine=not adaptive)
        projection = _sequence(proj=nn.Linear(width, 4 * width), gelu=nn.GELU(approximate="tanh"))
        layers = [projection, nn.Dropout(dropout), nn.Linear(4 * width, width)]
        last = [nn.Dropout(dropout)] * config.final_dropout
        self.ff = _sequence(net=nn.Sequential(*layers, *last))
        self.final_dropout = nn.Dropout(dropout if config.final_dropout else 0.0)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        key_mask: Tensor | None = None,
        timestep: Tensor | None = None,
    ) -> Tensor:
        """Map (B, T, C) to (B, T, C); without ``context`` the tokens attend to themselves."""
        normed = self.norm1(x) if timestep is None else self.norm1(x, timestep)
        attended = self.attn1(normed, normed if context is None else context, key_mask)
        x = x + self.final_dropout(attended)
        return x + self.ff(self.norm3(x))


def angles(timestep: Tensor, count: int, last: int) -> Tensor:
    """Timesteps (B,) times frequencies, (B, count); the one at place ``last`` is 1e-4."""
    order = torch.arange(count, dtype=torch.float32, device=timestep.device)
    return timestep[:, None].float() * torch.exp(order * (-math.log(10_000) / last))


class TimestepEncoder(nn.Module):
    """Discrete timestep to embedding: cosines, then sines, of 128 frequencies from 1 to 1e-4."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.timestep_embedder = _sequence(
            linear_1=nn.Linear(256, width), silu=nn.SiLU(), linear_2=nn.Linear(width, width)
        )

    def forward(self, timestep: Tensor) -> Tensor:
        """Embed ``timestep`` (B,) as (B, width)."""
        angle = angles(timestep, 128, 127)
        encoding = torch.cat([angle.cos(), angle.sin()], dim=-1)
        return self.timestep_embedder(encoding.to(next(self.parameters()).dtype))


class DiT(nn.Module):
    """Diffusion transformer: even blocks attend to the features, odd ones to themselves."""

    def __init__(self, config: DiffusionModelConfig) -> None:
        super().__init__()
        width = config.width
        self.interleave = config.interleave_self_attention
        self.timestep_encoder = TimestepEncoder(width)
        self.transformer_blocks = nn.ModuleList(
            Block(config, None if self._to_itself(i) else config.cross_attention_dim, adaptive=True)
            for i in range(config.num_layers)
        )
        self.norm_out = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.proj_out_1 = nn.Linear(width, 2 * width)
        self.proj_out_2 = nn.Linear(width, config.output_dim)

    def _to_itself(self, index: int) -> bool:
        return self.interleave and index % 2 == 1

    def seen_features(self, index: int, key_mask: Tensor | None) -> Tensor | None:
        """Which features a block attends to, (B, 1, 1, S) bool; ``None`` for all."""
        return key_mask

    def forward(
        self, x: Tensor, features: Tensor, timestep: Tensor, key_mask: Tensor | None = None
    ) -> Tensor:
        """Denoise one step: (B, T, width) state, future and action tokens to (B, T, output_dim).

        ``features`` are (B, S, cross_attention_dim), ``timestep`` (B,), and ``key_mask`` says which
        features are no padding, (B, 1, 1, S) bool; ``None`` for all.
        """
        embedding = self.timestep_encoder(timestep)
        for index, block in enumerate(self.transformer_blocks):
            if self._to_itself(index):
                x = block(x, timestep=embedding)
            else:
                x = block(x, features, self.seen_features(index, key_mask), embedding)
        shift, scale = self.proj_out_1(F.silu(embedding)).unsqueeze(1).chunk(2, dim=-1)
        return self.proj_out_2(self.norm_out(x) * (1 + scale) + shift)
