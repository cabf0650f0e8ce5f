"""GR00T N1.5: backbone and action head as one module, with NVIDIA's parameter names.

The backbone is a SigLIP vision tower and a Qwen3 text tower of ``transformers``, after
Isaac-GR00T's ``EagleBackbone``, written anew.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model, SiglipVisionConfig, SiglipVisionModel

from gr00t_assets.trainers.n15.architecture import ModelConfig
from gr00t_assets.trainers.native.action_head import Batch
from gr00t_assets.trainers.native.gr00t_model import Backbone, Gr00tModel, seen_by_each
from gr00t_assets.trainers.native.prompts import N15_PROMPT, PromptFormat


class EagleBackbone(Backbone):
    """Both towers, a linear layer that joins them and, where the sizes have one, a projection.

    NVIDIA takes ``hidden_states[select_layer]`` of a text tower cut to ``select_layer`` layers,
    which is the output after the final norm, so this is what the text tower returns.
    """

    towers_name: ClassVar[str] = "eagle_model"
    vision_name: ClassVar[str] = "eagle_model.vision_model.vision_model"
    text_name: ClassVar[str] = "eagle_model.language_model.model"

    def __init__(self, config: ModelConfig, attn: str) -> None:
        super().__init__()
        sizes, width = config.towers, config.backbone.project_to_dim
        fields: dict[str, Any] = sizes.vision_config.model_dump() | {"attn_implementation": attn}
        vision: Any = SiglipVisionModel(SiglipVisionConfig(**fields))
        vision = getattr(vision, "vision_model", vision)
        # NVIDIA's files hold the pooling head; nothing reads its output.
        vision.use_head = False
        fields = sizes.text_config.model_dump(exclude={"rope_theta"}) | {
            "num_hidden_layers": config.backbone.select_layer,
            "rope_parameters": {"rope_type": "default", "rope_theta": sizes.text_config.rope_theta},
            "use_cache": False,
            "attn_implementation": attn,
        }
        text = Qwen3Model(Qwen3Config(**fields))
        joined = nn.Linear(sizes.vision_config.hidden_size, sizes.text_config.hidden_size)
        self.eagle_model: Any = nn.ModuleDict(
            {
                "vision_model": nn.ModuleDict({"vision_model": vision}),
                "language_model": nn.ModuleDict({"model": text}),
                "mlp1": nn.Sequential(joined),
            }
        )
        # The width is fixed in Isaac-GR00T.
        self.eagle_linear = nn.Identity() if width is None else nn.Linear(2048, width)
        # Whether padding is left out of the text tower.
        self.packs = attn == "flash_attention_2"
        self.image_token = sizes.image_token_index

    @property
    def visual(self) -> list[nn.Module]:
        """The vision tower and its connector."""
        return [self.vision, self.eagle_model["mlp1"]]

    def features(self, batch: Batch) -> Tensor:
        """What both towers make of prompts and images (B, L, D).

        Positions count from the first token that is no padding.
        """
        ids, mask = batch["input_ids"], batch.get("attention_mask")
        if mask is None:
            position = torch.arange(ids.shape[1], device=ids.device)[None]
        else:
            position = (mask.cumsum(-1) - 1).clamp(min=0)
        dtype = self.vision.embeddings.patch_embedding.weight.dtype
        patches = self.vision(pixel_values=batch["pixel_values"].to(dtype)).last_hidden_state
        patches = self.eagle_model["mlp1"](patches).flatten(0, 1)
        embedded = self.embed(ids, self.places(batch), patches)
        size, length, width = embedded.shape
        kept, packed = batch.get("kept_places") if self.packs else None, {}
        if kept is not None:  # One row of all prompts, without their padding.
            embedded = embedded.flatten(0, 1).index_select(0, kept)[None]
            position, mask = position.flatten().index_select(0, kept)[None], None
            packed = dict.fromkeys(("cu_seq_lens_q", "cu_seq_lens_k"), batch["prompt_starts"])
            packed |= {"max_length_q": length, "max_length_k": length}
        flash = self.text.config._attn_implementation == "flash_attention_2"
        seen = mask if mask is None or flash else seen_by_each(mask)
        output = self.text(
            inputs_embeds=embedded,
            attention_mask=dict.fromkeys(self.text.config.layer_types, seen),
            position_ids=position,
            use_cache=False,
            **packed,
        )
        tokens = output.last_hidden_state
        if kept is None:
            return tokens
        features = tokens.new_zeros(size * length, width).index_copy(0, kept, tokens[0])
        return features.view(size, length, width)

    def rebuild_buffers(self) -> None:
        """Compute anew the buffers that no file holds, after ``to_empty`` left them unset."""
        vision, text = self.vision, self.text
        patches = vision.embeddings.position_embedding
        ids = torch.arange(patches.num_embeddings, device=patches.weight.device)
        vision.embeddings.position_ids = ids.expand(1, -1)
        text.rotary_emb = type(text.rotary_emb)(text.config).to(patches.weight.device)


class Gr00tN15(Gr00tModel):
    """N1.5; ``pixel_values`` are (B * views, 3, H, W) in [-1, 1], one sample after another."""

    prompt: ClassVar[PromptFormat] = N15_PROMPT
    lm_head: ClassVar[str] = "backbone.eagle_model.language_model.lm_head.weight"
    embedding: ClassVar[str] = "backbone.eagle_model.language_model.model.embed_tokens.weight"
    unused: ClassVar[str] = "backbone.eagle_model.vision_model.vision_model.head"
    backbone_type: ClassVar[Any] = EagleBackbone

    def backbone_features(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Features of the prompt and its images (B, L, D), and the prompt's mask (B, L) if any."""
        features, mask = super().backbone_features(batch)
        return self.backbone.eagle_linear(features), mask

    def pixels(self, images: Tensor) -> dict[str, Tensor]:
        """Pixels in [-1, 1]."""
        return {"pixel_values": images.float().div_(127.5).sub_(1)}
