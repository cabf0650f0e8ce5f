"""GR00T N1.5: backbone and action head as one module, with NVIDIA's parameter names.

The backbone is a SigLIP vision tower and a Qwen3 text tower of ``transformers``, after
Isaac-GR00T's ``EagleBackbone``, written anew. Modules are nested so that parameter names are those
of NVIDIA's files, whatever transformers calls them inside.
"""

import importlib.util
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model, SiglipVisionConfig, SiglipVisionModel

from gr00t_assets.trainers.n15.architecture import ModelConfig, TextConfig, VisionConfig
from gr00t_assets.trainers.native.action_head import FlowMatchingActionHead
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel

PROJECTION_INPUT = 2048
"""Input width of ``eagle_linear``, fixed in Isaac-GR00T."""


def attention_implementation(requested: str = "sdpa") -> str:
    """The attention that the towers get.

    ``flash_attention_2`` is granted where ``flash_attn`` is importable and there is a CUDA device;
    elsewhere the answer is ``sdpa``. Flash attention needs 16-bit weights or autocast.
    """
    if requested != "flash_attention_2":
        return requested
    usable = importlib.util.find_spec("flash_attn") is not None and torch.cuda.is_available()
    return requested if usable else "sdpa"


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
    """

    def __init__(self, config: ModelConfig, attn: str) -> None:
        super().__init__()
        towers = config.towers
        vision = _vision_tower(towers.vision_config, attn)
        text = _text_tower(towers.text_config, config.backbone.select_layer, attn)
        self.vision_model = nn.ModuleDict({"vision_model": vision})
        self.language_model = nn.ModuleDict({"model": text})
        self.mlp1 = nn.Sequential(
            nn.Linear(towers.vision_config.hidden_size, towers.text_config.hidden_size)
        )
        self.image_token = towers.image_token_index

    @property
    def vision(self) -> Any:
        """The SigLIP tower."""
        return self.vision_model["vision_model"]

    @property
    def text(self) -> Any:
        """The Qwen3 tower."""
        return self.language_model["model"]

    def embed(self, input_ids: Tensor, pixel_values: Tensor) -> Tensor:
        """Token embeddings (B, L, D) with the images' patches in place of the image tokens.

        Raises:
            ValueError: The prompts have more or fewer image tokens than the images have patches.
        """
        tokens = self.text.embed_tokens(input_ids)
        dtype = self.vision.embeddings.patch_embedding.weight.dtype
        patches = self.vision(pixel_values=pixel_values.to(dtype)).last_hidden_state
        patches = self.mlp1(patches).flatten(0, 1).to(tokens.dtype)
        is_image = input_ids == self.image_token
        if int(is_image.sum()) != patches.shape[0]:
            raise ValueError(
                f"{int(is_image.sum())} image tokens in the prompts, {patches.shape[0]} patches in "
                f"{pixel_values.shape[0]} images"
            )
        return tokens.masked_scatter(is_image.unsqueeze(-1), patches)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor) -> Tensor:
        """Features of the prompt (B, L, D); those of padded tokens mean nothing.

        Positions count from the first token that is no padding.
        """
        position = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        output = self.text(
            inputs_embeds=self.embed(input_ids, pixel_values),
            attention_mask=attention_mask,
            position_ids=position,
            use_cache=False,
        )
        return output.last_hidden_state


class EagleBackbone(nn.Module):
    """The towers and, where the configuration has one, a projection of their features."""

    def __init__(self, config: ModelConfig, attn: str = "sdpa") -> None:
        super().__init__()
        self.eagle_model = EagleModel(config, attention_implementation(attn))
        width = config.backbone.project_to_dim
        self.eagle_linear = nn.Identity() if width is None else nn.Linear(PROJECTION_INPUT, width)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor) -> Tensor:
        """Features (B, L, D). Frozen towers run without recording gradients."""
        trained = any(parameter.requires_grad for parameter in self.eagle_model.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and trained):
            features = self.eagle_model(input_ids, attention_mask, pixel_values)
        return self.eagle_linear(features)

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

    def __init__(self, config: ModelConfig, attn: str = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.backbone = EagleBackbone(config, attn)
        self.action_head = FlowMatchingActionHead(config.action_head)
        self.set_trainable(True, True, True, True)

    def backbone_features(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features of the prompt and its images (B, L, D), and the prompt's mask (B, L)."""
        mask = batch["attention_mask"]
        return self.backbone(batch["input_ids"], mask, batch["pixel_values"]), mask

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

    def unused(self) -> list[nn.Module]:
        """SigLIP's pooling head."""
        return [self.backbone.eagle_model.vision.head]
