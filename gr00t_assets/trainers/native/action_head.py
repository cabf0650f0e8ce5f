"""N1.5's flow-matching action head: from features and state to actions.

After Isaac-GR00T's ``flow_matching_action_head.py``, written anew; parameter names are the same.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gr00t_assets.trainers.n15.architecture import ActionHeadConfig
from gr00t_assets.trainers.native.compact_adamw import BLOCK
from gr00t_assets.trainers.native.dit import Block, DiT, angles

Batch = dict[str, Tensor]
"""Tensors of some samples by name; see ``Gr00tModel``."""


class EmbodimentLinear(nn.Module):
    """One linear layer for each embodiment, or for each of those that a run trains on.

    Of a run's weights, gradients and moments those of other embodiments are most, and nothing but
    weight decay would change them.
    """

    place: Tensor | None  # Row of each embodiment's weights, where those of some are set aside.
    set_aside: dict[str, Tensor]  # Then the weights of all as they were, by parameter.

    def __init__(self, config: ActionHeadConfig, inputs: int, outputs: int) -> None:
        super().__init__()
        deviation = 1 / math.sqrt(inputs) if config.embodiment_init == "fan_in" else 0.02
        self.W = nn.Parameter(deviation * torch.randn(config.max_num_embodiments, inputs, outputs))
        self.b = nn.Parameter(torch.zeros(config.max_num_embodiments, outputs))
        self.register_buffer("place", None, persistent=False)
        self._kept: list[int] = []
        self.set_aside = {}

    def keep_rows(self, embodiments: Sequence[int]) -> None:
        """Set the weights of all other embodiments aside, on the CPU, until ``put_back``.

        ``embodiments`` are in ascending order.
        """
        self._kept = list(embodiments)
        place = torch.full((len(self.W),), len(self.W))
        place[self._kept] = torch.arange(len(embodiments))
        for name, parameter in list(self.named_parameters()):
            weights = parameter.detach()
            self.set_aside[name] = weights if weights.is_meta else weights.cpu()
            kept = nn.Parameter(weights[self._kept], parameter.requires_grad)
            setattr(self, name, kept)
        self.place = place.to(self.W.device)

    def put_back(self) -> None:
        """Have the weights of all embodiments again, with those that were kept as they are now."""
        for name, weights in self.set_aside.items():
            kept: nn.Parameter = getattr(self, name)
            weights[self._kept] = kept.detach().cpu()
            setattr(self, name, nn.Parameter(weights.to(kept.device), kept.requires_grad))
        self.set_aside, self.place = {}, None

    def rows_of(self, name: str, tensor: Tensor) -> Tensor:
        """The rows that are kept, of a tensor like a parameter as it was before ``keep_rows``.

        Likewise of the scales of its moments, of which each row's are beside each other.
        """
        weights = self.set_aside.get(name)
        if weights is not None and tensor.shape == weights.shape:
            return tensor[self._kept]
        if weights is not None and tensor.shape == (weights.numel() // BLOCK,):
            return tensor.unflatten(0, (len(weights), -1))[self._kept].flatten()
        return tensor

    def forward(self, x: Tensor, embodiment: Tensor) -> Tensor:
        """Map (B, T, inputs) to (B, T, outputs) with the weights of ``embodiment``, (B,) or (1,).

        With (1,) all samples have the same weights, which are then not copied for each of them.
        """
        if self.place is not None:
            embodiment = self.place.index_select(0, embodiment)
        weight, bias = self.W.index_select(0, embodiment), self.b.index_select(0, embodiment)
        if len(weight) == 1:
            return F.linear(x, weight[0].T, bias[0])
        return torch.baddbmm(bias.unsqueeze(1), x, weight)


def by_embodiment(model: nn.Module) -> dict[str, EmbodimentLinear]:
    """The layers of a model that have weights for each embodiment, by name."""
    modules = model.named_modules()
    return {name: module for name, module in modules if isinstance(module, EmbodimentLinear)}


def kept_rows(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by parameter, such as ``exp_avg/NAME``, with the rows that the model keeps.

    Checkpoints that were written before other rows were set aside have them all.
    """
    layers, result = by_embodiment(model), dict(tensors)
    for key, tensor in tensors.items():
        layer, _, own = key.rpartition("/")[2].rpartition(".")
        if layer in layers:
            result[key] = layers[layer].rows_of(own, tensor)
    return result


class EmbodimentMLP(nn.Module):
    """Two layers with a ReLU between them, for each embodiment."""

    def __init__(self, config: ActionHeadConfig, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer1 = EmbodimentLinear(config, inputs, config.hidden_size)
        self.layer2 = EmbodimentLinear(config, config.hidden_size, outputs)

    def forward(self, x: Tensor, embodiment: Tensor) -> Tensor:
        """Map (B, T, inputs) to (B, T, outputs)."""
        return self.layer2(F.relu(self.layer1(x, embodiment)), embodiment)


class ActionEncoder(nn.Module):
    """Noisy actions and their timestep to tokens, for each embodiment."""

    def __init__(self, config: ActionHeadConfig) -> None:
        super().__init__()
        width = self.width = config.input_embedding_dim
        self.W1 = EmbodimentLinear(config, config.action_dim, width)
        self.W2 = EmbodimentLinear(config, 2 * width, width)
        self.W3 = EmbodimentLinear(config, width, width)

    def forward(self, actions: Tensor, timestep: Tensor, embodiment: Tensor) -> Tensor:
        """Map ``actions`` (B, T, action_dim) at ``timestep`` (B,) to (B, T, width)."""
        tokens, half = self.W1(actions, embodiment), self.width // 2
        angle = angles(timestep, half, half)
        time = torch.cat([angle.sin(), angle.cos()], dim=-1)
        time = time.to(tokens.dtype)[:, None].expand_as(tokens)
        hidden = self.W2(torch.cat([tokens, time], dim=-1), embodiment)
        return self.W3(F.silu(hidden), embodiment)


class FlowMatchingActionHead(nn.Module):
    """Predicts the velocity that carries noise to actions, and integrates it.

    Padded prompt tokens are masked in every attention over the features. Isaac-GR00T does not
    mask them, which lets a sample's loss depend on its neighbours in the batch; without padding
    both agree.
    """

    transformer: ClassVar[type[DiT]] = DiT

    def __init__(self, config: ActionHeadConfig) -> None:
        super().__init__()
        self.config = config
        width = config.input_embedding_dim
        self.model = self.transformer(config.diffusion_model_cfg)
        self.state_encoder = EmbodimentMLP(config, config.max_state_dim, width)
        self.action_encoder = ActionEncoder(config)
        self.action_decoder = EmbodimentMLP(config, config.hidden_size, config.action_dim)
        self.future_tokens = nn.Embedding(config.num_target_vision_tokens, width)
        nn.init.normal_(self.future_tokens.weight, std=0.02)
        if config.use_vlln and config.vl_self_attention_cfg is not None:
            self.vlln = nn.LayerNorm(config.backbone_embedding_dim)
            layers = config.vl_self_attention_cfg.num_layers
            blocks = [
                Block(config.vl_self_attention_cfg, None, adaptive=False) for _ in range(layers)
            ]
            self.vl_self_attention: Any = nn.ModuleDict(
                {"transformer_blocks": nn.ModuleList(blocks)}
            )
        if config.add_pos_embed:
            self.position_embedding = nn.Embedding(config.max_seq_len, width)
            nn.init.normal_(self.position_embedding.weight, std=0.02)

    def projector(self) -> list[nn.Module]:
        """The modules that ``tune_projector`` trains."""
        parts = [self.state_encoder, self.action_encoder, self.action_decoder]
        return [*parts, self.position_embedding] if self.config.add_pos_embed else parts

    def attend(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Normalise features (B, S, D) and let them attend to each other.

        From their mask (B, S) a key mask is made, (B, 1, 1, S) bool; None if nothing is padded.
        """
        key_mask = None if mask is None else mask.bool()[:, None, None, :]
        features = features.to(self.future_tokens.weight.dtype)
        if self.config.use_vlln:
            features = self.vlln(features)
            for block in self.vl_self_attention["transformer_blocks"]:
                features = block(features, key_mask=key_mask)
        return features, key_mask

    def encode_state(self, batch: Batch) -> Tensor:
        """Tokens of the state (B, 1, width)."""
        return self.state_encoder(batch["state"], batch["embodiment_id"])

    def velocity(
        self,
        actions: Tensor,
        timestep: Tensor,
        state_tokens: Tensor,
        features: Tensor,
        key_mask: Tensor | None,
        embodiment: Tensor,
    ) -> Tensor:
        """Predict the velocity of noisy ``actions`` (B, T, action_dim), same shape."""
        tokens = self.action_encoder(actions, timestep, embodiment)
        if self.config.add_pos_embed:
            tokens = tokens + self.position_embedding.weight[: tokens.shape[1]]
        future = self.future_tokens.weight.expand(tokens.shape[0], -1, -1)
        tokens = torch.cat([state_tokens, future, tokens], dim=1)
        hidden = self.model(tokens, features, timestep, key_mask)
        return self.action_decoder(hidden[:, -actions.shape[1] :], embodiment)

    def forward(
        self,
        features: Tensor,
        mask: Tensor | None,
        batch: Batch,
        noise: Tensor,
        t: Tensor,
        entries: float | None = None,
    ) -> Tensor:
        """Flow-matching loss: mean squared velocity error over the unmasked action entries.

        The noisy action is (1 - t) noise + t action, the target velocity action - noise.
        ``entries`` divide the sum of squares where the batch is a part of a step: those of the
        whole step.
        """
        actions, embodiment = batch["action"], batch["embodiment_id"]
        features, key_mask = self.attend(features, mask)
        weight = t.to(actions.dtype)[:, None, None]
        noisy = (1 - weight) * noise + weight * actions
        timestep = (t * self.config.num_timestep_buckets).long()
        state_tokens = self.encode_state(batch)
        predicted = self.velocity(noisy, timestep, state_tokens, features, key_mask, embodiment)
        error = F.mse_loss(predicted.float(), (actions - noise).float(), reduction="none")
        kept = batch["action_mask"].to(error.dtype)
        return (error * kept).sum() / (kept.sum() if entries is None else entries)

    def get_action(
        self,
        features: Tensor,
        mask: Tensor | None,
        batch: Batch,
        noise: Tensor,
        num_steps: int | None = None,
    ) -> Tensor:
        """Integrate the velocity from noise with Euler's method, (B, horizon, action_dim)."""
        config, state, embodiment = self.config, batch["state"], batch["embodiment_id"]
        steps = num_steps or config.num_inference_timesteps
        features, key_mask = self.attend(features, mask)
        actions = noise.to(state.device)
        tokens = self.encode_state(batch)
        for step in range(steps):
            bucket = int(step / steps * config.num_timestep_buckets)
            timestep = torch.full((state.shape[0],), bucket, device=state.device)
            velocity = self.velocity(actions, timestep, tokens, features, key_mask, embodiment)
            actions = actions + velocity.to(actions.dtype) / steps
        return actions
