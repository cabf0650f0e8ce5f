"""GR00T N1.7: a Qwen3-VL backbone and an action head that attends to text and images in turn.

After Isaac-GR00T's ``qwen3_backbone.py`` and ``gr00t_n1d7.py``, written anew on transformers'
towers; parameter names are the same.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import Qwen3VLConfig, Qwen3VLModel, vision_utils

from gr00t_assets.trainers.n17.architecture import (
    N17ActionHeadConfig,
    N17Config,
    N17DiffusionModelConfig,
)
from gr00t_assets.trainers.native.action_head import Batch, FlowMatchingActionHead
from gr00t_assets.trainers.native.dit import DiT
from gr00t_assets.trainers.native.gr00t_model import Backbone, Gr00tModel, seen_by_each
from gr00t_assets.trainers.native.prompts import N17_PROMPT, PromptFormat

PADDING, TEXT, IMAGE = 0, 1, 2  # Kinds of tokens, by which the action head attends to them.


class Qwen3Backbone(Backbone):
    """The towers of Qwen3-VL, the text tower cut to ``select_layer`` layers, without its norm."""

    towers_name: ClassVar[str] = "model.model"
    vision_name: ClassVar[str] = "model.model.visual"
    text_name: ClassVar[str] = "model.model.language_model"

    def __init__(self, config: N17Config, attn: str) -> None:
        super().__init__()
        sizes = config.qwen3_vl_config
        fields: dict[str, Any] = sizes.model_dump(mode="json", exclude={"tokenizer"})
        fields["attn_implementation"] = attn
        fields["text_config"] |= {"num_hidden_layers": config.select_layer, "use_cache": False}
        model: Any = Qwen3VLModel(Qwen3VLConfig(**fields))
        # Features are taken before the final norm, whose weight files hold.
        model.language_model.norm = nn.Identity()
        model.language_model.norm.weight = nn.Parameter(torch.ones(config.backbone_embedding_dim))
        # transformers' own looks for the places at every layer, for which a GPU has to be waited.
        model.language_model._deepstack_process = _added_at
        self.model: Any = nn.ModuleDict({"model": model})
        self.image_token = sizes.image_token_id

    def kinds(self, batch: Batch) -> Tensor:
        """Of each token whether it is padding, text or part of an image, (B, L) int64."""
        ids = batch["input_ids"]
        kinds = TEXT + (ids == self.image_token).to(ids.dtype)
        return kinds if (mask := batch.get("attention_mask")) is None else kinds * mask

    def positions(self, batch: Batch) -> dict[str, Tensor]:
        """Where the tokens and the patches of a batch are, on its device; waits for a GPU.

        They are ``text_positions`` (3, B, L), ``patch_positions`` (N, 2), the learned positions
        that a patch is between, ``interp_indices`` and ``interp_weights`` (N, 4), and
        ``image_ends`` (images + 1,), the places in the patches where images begin and end.
        """
        vision, grid, ids = self.vision, batch["image_grid_thw"], batch["input_ids"]
        merge, mask = vision.spatial_merge_size, batch.get("attention_mask")
        kinds = (ids == self.image_token).int()
        of_text, _ = self.model["model"].get_rope_index(ids, kinds, grid, attention_mask=mask)
        indices, weights = vision_utils.get_vision_interpolation_indices_and_weights(
            grid,
            vision.num_grid_per_side,
            vision.interpolation_mode,
            vision.interpolation_align_corners,
            merge,
        )
        return {
            "text_positions": of_text,
            "patch_positions": vision_utils.get_vision_position_ids(grid, merge),
            "interp_indices": indices,
            "interp_weights": weights,
            "image_ends": vision_utils.get_vision_cu_seqlens(grid),
        }

    def features(self, batch: Batch) -> Tensor:
        """What transformers' model of both towers does, without waiting for a GPU."""
        if "text_positions" not in batch:
            batch = {**batch, **self.positions(batch)}
        ids, places, ends = batch["input_ids"], self.places(batch), batch["image_ends"]
        vision, text = self.vision, self.text
        flash = text.config._attn_implementation == "flash_attention_2"
        seen = vision(
            batch["pixel_values"].to(vision.dtype),
            grid_thw=batch["image_grid_thw"],
            position_ids=batch["patch_positions"],
            cu_seqlens=ends.to(ids.device) if flash else ends,
            interp_indices=batch["interp_indices"],
            interp_weights=batch["interp_weights"],
        )
        mask = batch.get("attention_mask")
        output = text(
            inputs_embeds=self.embed(ids, places, seen.pooler_output),
            attention_mask=mask if mask is None or flash else seen_by_each(mask),
            position_ids=batch["text_positions"],
            visual_pos_masks=places,
            deepstack_visual_embeds=seen.deepstack_features,
            use_cache=False,
        )
        return output.last_hidden_state

    def rebuild_buffers(self) -> None:
        """Compute anew the buffers that no file holds, after ``to_empty`` left them unset."""
        text, vision = self.text, self.vision
        device = text.embed_tokens.weight.device
        text.rotary_emb = type(text.rotary_emb)(text.config).to(device)
        vision.rotary_pos_emb = type(vision.rotary_pos_emb)(vision.config).to(device)


def _added_at(tokens: Tensor, places: Tensor, patches: Tensor) -> Tensor:
    """Tokens (B, L, D) with features of patches added at their places in the flat prompts."""
    return tokens.flatten(0, 1).index_add(0, places, patches.to(tokens.dtype)).view_as(tokens)


class AlternatingDiT(DiT):
    """Cross-attention of every so many blocks is to text, of the others to images."""

    def __init__(self, config: N17DiffusionModelConfig) -> None:
        super().__init__(config)
        self._period = 2 * config.attend_text_every_n_blocks

    def seen_features(self, index: int, key_mask: Tensor | None) -> Tensor | None:
        """Of the masks of text and of images, (2, B, 1, 1, S) bool, the one of a block."""
        return None if key_mask is None else key_mask[int(index % self._period != 0)]


class N17ActionHead(FlowMatchingActionHead):
    """Without future tokens, and with a state that is left out of some samples in training.

    Isaac-GR00T does not hide padded tokens from ``vl_self_attention``; here they are hidden.
    """

    transformer: ClassVar[type[DiT]] = AlternatingDiT
    config: N17ActionHeadConfig

    def attend(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Let features (B, S, D) attend to each other.

        From the kind of each (B, S) the masks of text and of images are made, (2, B, 1, 1, S) bool.
        """
        assert mask is not None
        features, _ = super().attend(features, mask != PADDING)
        return features, torch.stack([mask == TEXT, mask == IMAGE])[:, :, None, None, :]

    def encode_state(self, batch: Batch) -> Tensor:
        """Tokens of the state (B, 1, width).

        In training the state is zero in some samples, and its token in some, each with
        ``state_dropout_prob``: the one as in Isaac-GR00T's processor, the other as in its model.
        """
        if not self.training:
            return super().encode_state(batch)
        state = batch["state"] * self._kept(batch["state"])
        tokens = super().encode_state({**batch, "state": state})
        return tokens * self._kept(tokens)

    def _kept(self, values: Tensor) -> Tensor:
        drawn = torch.rand(len(values), 1, 1, device=values.device)
        return (drawn >= self.config.state_dropout_prob).to(values.dtype)


class Gr00tN17(Gr00tModel):
    """N1.7; ``pixel_values`` are patches (N, channels x times x side x side), image after image.

    A batch has ``image_grid_thw`` (images, 3) int64 too: patches of each in time, height and width.
    """

    prompt: ClassVar[PromptFormat] = N17_PROMPT
    lm_head: ClassVar[str] = "backbone.model.lm_head.weight"
    embedding: ClassVar[str] = "backbone.model.model.language_model.embed_tokens.weight"
    unused: ClassVar[str] = "backbone.model.model.language_model.norm"
    backbone_type: ClassVar[Any] = Qwen3Backbone
    action_head_type: ClassVar[type[FlowMatchingActionHead]] = N17ActionHead

    def placed(self, batch: Batch) -> Batch:
        """As of any model, with the backbone's ``positions`` where there are images."""
        positions = self.backbone.positions(batch) if "pixel_values" in batch else {}
        return {**super().placed(batch), **positions}

    def pixels(self, images: Tensor) -> dict[str, Tensor]:
        """Patches in [-1, 1] of images whose size is made to fit them, and how many there are."""
        vision = self.config.qwen3_vl_config.vision_config
        side, merge = vision.patch_size, vision.spatial_merge_size
        rows, columns = self.config.image_grid(*images.shape[2:])
        pixels, size = images.float(), (rows * side, columns * side)
        if pixels.shape[2:] != size:
            pixels = interpolate(pixels, size=size, mode="bicubic", antialias=True)
            pixels = pixels.round_().clamp_(0, 255)
        pixels = pixels.div_(127.5).sub_(1)
        # Patches of a merged block come one after another; a frame counts for two moments.
        blocks = pixels.view(-1, 3, rows // merge, merge, side, columns // merge, merge, side)
        blocks = blocks.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
        patches = blocks.expand(*blocks.shape[:6], vision.temporal_patch_size, side, side)
        grid = torch.tensor([[1, rows, columns]]).expand(len(images), 3)
        count = len(images) * rows * columns
        return {"pixel_values": patches.reshape(count, -1), "image_grid_thw": grid}
