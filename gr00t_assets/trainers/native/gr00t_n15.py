"""GR00T N1.5: backbone and action head as one module, with NVIDIA's parameter names.

The backbone is a SigLIP vision tower and a Qwen3 text tower of ``transformers``, after
Isaac-GR00T's ``EagleBackbone``, written anew. Modules are nested so that parameter names are those
of NVIDIA's files, whatever transformers calls them inside.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model, SiglipVisionConfig, SiglipVisionModel

from gr00t_assets.trainers.n15.architecture import ModelConfig, TextConfig, VisionConfig
from gr00t_assets.trainers.native.action_head import FlowMatchingActionHead
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel, attention_implementation
from gr00t_assets.trainers.native.prompts import N15_PROMPT, Prompt, PromptFormat, image_places

PROJECTION_INPUT = 2048
"""Input width of ``eagle_linear``, fixed in Isaac-GR00T."""


def _vision_tower(sizes: VisionConfig, attn: str) -> nn.Module:
    fields: dict[str, Any] = sizes.model_dump() | {"attn_implementation": attn}
    tower: Any = SiglipVisionModel(SiglipVisionConfig(**fields))
    tower = getattr(tower, "vision_model", tower)
    # NVIDIA's files hold the pooling head; nothing reads its output.
    tower.use_head = False
    return tower


def _text_tower(sizes: TextConfig, layers: int, attn: str) -> Qwen3Model:
    fields: dict[str, Any] = sizes.model_dump(exclude={"rope_theta", "num_hidden_layers"}) | {
        "num_hidden_layers": layers,
        "rope_parameters": {"rope_type": "default", "rope_theta": sizes.rope_theta},
        "use_cache": False,
        "attn_implementation": attn,
    }
    return Qwen3Model(Qwen3Config(**fields))


class EagleModel(nn.Module):
    """Towers and the linear layer that joins them.

    NVIDIA takes ``hidden_states[select_layer]`` of a text tower cut to ``select_layer`` layers,
    which is the output after the final norm, so this is what the text tower returns.

    Attributes:
        packs: Whether padding is left out of the text tower, as flash attention allows.
    """

    def __init__(self, config: ModelConfig, attn: str) -> None:
        super().__init__()
        towers = config.towers
        vision = _vision_tower(towers.vision_config, attn)
        text = _text_tower(towers.text_config, config.backbone.select_layer, attn)
        self.packs = attn == "flash_attention_2"
        self.vision_model = nn.ModuleDict({"vision_model": vision})
        self.language_model = nn.ModuleDict({"model": text})
        self.mlp1 = nn.Sequential(
            nn.Linear(towers.vision_config.hidden_size, towers.text_config.hidden_size)
        )

    @property
    def vision(self) -> Any:
        """The SigLIP tower."""
        return self.vision_model["vision_model"]

    @property
    def text(self) -> Any:
        """The Qwen3 tower."""
        return self.language_model["model"]

    def embed(self, input_ids: Tensor, places: Tensor, pixel_values: Tensor) -> Tensor:
        """Token embeddings (B, L, D) with the images' patches in place of the image tokens.

        Raises:
            ValueError: The prompts have more or fewer image tokens than the images have patches.
        """
        tokens = self.text.embed_tokens(input_ids)
        dtype = self.vision.embeddings.patch_embedding.weight.dtype
        patches = self.vision(pixel_values=pixel_values.to(dtype)).last_hidden_state
        patches = self.mlp1(patches).flatten(0, 1).to(tokens.dtype)
        if len(places) != len(patches):
            raise ValueError(
                f"{len(places)} image tokens in the prompts, {len(patches)} patches in "
                f"{len(pixel_values)} images"
            )
        return tokens.flatten(0, 1).index_copy(0, places, patches).view_as(tokens)

    def forward(self, prompt: Prompt, pixel_values: Tensor) -> Tensor:
        """Features of the prompt (B, L, D); those of padded tokens mean nothing.

        Positions count from the first token that is no padding.
        """
        ids, mask = prompt.input_ids, prompt.attention_mask
        if mask is None:
            position = torch.arange(ids.shape[1], device=ids.device)[None]
        else:
            position = (mask.cumsum(-1) - 1).clamp(min=0)
        embedded = self.embed(ids, prompt.image_places, pixel_values)
        if self.packs and prompt.kept_places is not None:
            return self._packed(embedded, position, prompt)
        output = self.text(
            inputs_embeds=embedded,
            attention_mask=self._attention_masks(mask),
            position_ids=position,
            use_cache=False,
        )
        return output.last_hidden_state

    def _packed(self, embedded: Tensor, position: Tensor, prompt: Prompt) -> Tensor:
        """Features by the text tower over one row of all prompts, without their padding."""
        size, length, width = embedded.shape
        kept, starts = prompt.kept_places, prompt.prompt_starts
        assert kept is not None
        output = self.text(
            inputs_embeds=embedded.flatten(0, 1).index_select(0, kept)[None],
            attention_mask=self._attention_masks(None),
            position_ids=position.flatten().index_select(0, kept)[None],
            use_cache=False,
            cu_seq_lens_q=starts,
            cu_seq_lens_k=starts,
            max_length_q=length,
            max_length_k=length,
        )
        tokens = output.last_hidden_state[0]
        features = tokens.new_zeros(size * length, width).index_copy(0, kept, tokens)
        return features.view(size, length, width)

    def _attention_masks(self, mask: Tensor | None) -> dict[str, Tensor | None]:
        """What each kind of layer of the text tower is given.

        transformers makes the same of a mask (B, L), and waits for the GPU meanwhile.
        """
        kinds = self.text.config.layer_types
        if mask is None or self.text.config._attn_implementation == "flash_attention_2":
            return dict.fromkeys(kinds, mask)
        length = mask.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
        return dict.fromkeys(kinds, causal & mask.bool()[:, None, None, :])


class EagleBackbone(nn.Module):
    """The towers and, where the configuration has one, a projection of their features."""

    def __init__(self, config: ModelConfig, attn: str = "sdpa") -> None:
        super().__init__()
        self.eagle_model = EagleModel(config, attention_implementation(attn))
        width = config.backbone.project_to_dim
        self.eagle_linear = nn.Identity() if width is None else nn.Linear(PROJECTION_INPUT, width)

    def forward(self, prompt: Prompt, pixel_values: Tensor) -> Tensor:
        """The towers' features (B, L, D). Frozen towers run without recording gradients."""
        trained = any(parameter.requires_grad for parameter in self.eagle_model.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and trained):
            return self.eagle_model(prompt, pixel_values)

    def rebuild_buffers(self) -> None:
        """Compute anew the buffers that no file holds, after ``to_empty`` left them unset."""
        vision, text = self.eagle_model.vision, self.eagle_model.text
        patches = vision.embeddings.position_embedding
        ids = torch.arange(patches.num_embeddings, device=patches.weight.device)
        vision.embeddings.position_ids = ids.expand(1, -1)
        text.rotary_emb = type(text.rotary_emb)(text.config).to(patches.weight.device)


class Gr00tN15(Gr00tModel):
    """N1.5; ``pixel_values`` are (B * views, 3, H, W) in [-1, 1] with one sample's views in order.

    ``attn`` is the towers' attention, ``sdpa`` or ``flash_attention_2``.
    """

    prompt: ClassVar[PromptFormat] = N15_PROMPT
    lm_head: ClassVar[str] = "backbone.eagle_model.language_model.lm_head.weight"
    embedding: ClassVar[str] = "backbone.eagle_model.language_model.model.embed_tokens.weight"

    def __init__(self, config: ModelConfig, attn: str = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.backbone = EagleBackbone(config, attn)
        self.action_head = FlowMatchingActionHead(config.action_head)
        self.set_trainable(True, True, True, True)

    def backbone_features(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Features of the prompt and its images (B, L, D), and the prompt's mask (B, L) if any.

        A batch may have the towers' ``features`` (B, L, D) in place of tokens and pixels.
        """
        if (known := batch.get("features")) is not None:
            return self.backbone.eagle_linear(known), batch.get("attention_mask")
        features, mask = self.tower_features(batch)
        return self.backbone.eagle_linear(features), mask

    def tower_features(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """What the towers make of a batch (B, L, D), and the prompt's mask (B, L) if any."""
        ids, mask, places = map(batch.get, Prompt._fields[:3])
        assert ids is not None
        if places is None:
            places = image_places(ids, self.config.towers.image_token_index)
        prompt = Prompt(ids, mask, places, batch.get("kept_places"), batch.get("prompt_starts"))
        return self.backbone(prompt, batch["pixel_values"]), mask

    @property
    def tower_weights(self) -> nn.Module:
        """Both towers and what is between them."""
        return self.backbone.eagle_model

    def pixels(self, images: Tensor) -> dict[str, Tensor]:
        """Pixels in [-1, 1]."""
        return {"pixel_values": images.float().div_(127.5).sub_(1)}

    def parts(self) -> dict[str, list[nn.Module]]:
        """Modules by the flag that trains them, in the order of ``set_trainable``."""
        eagle = self.backbone.eagle_model
        return {
            "llm": [eagle.language_model],
            "visual": [eagle.vision_model, eagle.mlp1],
            "projector": self.action_head.projector(),
            "diffusion_model": [self.action_head.model],
        }

    def towers(self) -> list[Any]:
        """The vision tower and the text tower."""
        eagle = self.backbone.eagle_model
        return [eagle.vision, eagle.text]

    def tower_layers(self) -> list[nn.Module]:
        """Every layer of both towers."""
        vision, text = self.towers()
        return [*vision.encoder.layers, *text.layers]

    def unused(self) -> list[nn.Module]:
        """SigLIP's pooling head."""
        return [self.backbone.eagle_model.vision.head]
