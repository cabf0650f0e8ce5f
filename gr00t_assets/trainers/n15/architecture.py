"""Sizes of GR00T N1.5: its towers and its action head."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.modality.camera_images import ImageRecipe
from gr00t_assets.modality.generations import GenerationName

MODEL_TYPE = "gr00t_n1_5"

Layers = Annotated[int, Field(ge=1, le=1000)]
Size = Annotated[int, Field(ge=1, le=10**6)]
"""A width, a number of rows and the like; no model of today comes near."""


class VisionConfig(FrozenModel):
    """A SigLIP vision tower. Defaults are Eagle 2.5's."""

    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    num_attention_heads: Size = 16
    num_hidden_layers: Layers = 27
    image_size: Size = Field(default=224, description="Side of the square image in pixels")
    patch_size: Size = Field(default=14, description="Side of a patch in pixels")
    num_channels: Literal[3] = 3
    hidden_act: str = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-6


class TextConfig(FrozenModel):
    """A Qwen3 text tower. Defaults are Eagle 2.5's, which are Qwen3-1.7B's but for the vocabulary.

    ``num_hidden_layers`` counts the layers before the cut to ``select_layer``.
    """

    hidden_size: Size = 2048
    intermediate_size: Size = 6144
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 8
    head_dim: Size = 128
    vocab_size: int = Field(default=151_680, ge=1, le=10**7)
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1_000_000
    max_position_embeddings: Size = 40_960
    tie_word_embeddings: bool = True
    hidden_act: str = "silu"
    attention_bias: Literal[False] = False
    num_hidden_layers: Layers = 28


class TowersConfig(FrozenModel):
    """Both towers and what joins them. Defaults are the Eagle model built into Isaac-GR00T."""

    vision_config: VisionConfig = VisionConfig()
    text_config: TextConfig = TextConfig()
    image_token_index: int = Field(default=151_669, ge=0)  # Token that an image patch replaces.
    mlp_connector_layers: Literal[1] = 1
    use_pixel_shuffle: Literal[False] = False
    eagle_select_layer: Literal[-1] = -1
    tokenizer: Literal["eagle", "bytes"] = Field(
        default="eagle", description="Qwen's with Eagle's image tokens, or one token per UTF-8 byte"
    )


class BackboneConfig(FrozenModel):
    """``backbone_cfg`` of Isaac-GR00T, with the defaults of its ``EagleBackbone``."""

    select_layer: int = Field(default=-1, description="Layers that the text tower is cut to")
    project_to_dim: Size | None = 1536  # Width of eagle_linear; null for none.
    tune_llm: bool = False
    tune_visual: bool = False
    reproject_vision: Literal[False] = False
    use_flash_attention: bool = False
    load_bf16: bool = False
    eagle_path: str | None = None  # Written by Isaac-GR00T, read by nobody.


class SelfAttentionConfig(FrozenModel):
    """Transformer blocks over the backbone's features, with the defaults of Isaac-GR00T's class."""

    num_attention_heads: Size = 8
    attention_head_dim: Size = 64
    num_layers: Layers = 12
    dropout: float = Field(default=0.1, ge=0, lt=1)
    final_dropout: bool = True
    positional_embeddings: None

    @property
    def width(self) -> int:
        """Channels of a token."""
        return self.num_attention_heads * self.attention_head_dim


class DiffusionModelConfig(SelfAttentionConfig):
    """The diffusion transformer, with the defaults of Isaac-GR00T's class."""

    output_dim: Size = 26
    cross_attention_dim: Size | None = None
    interleave_self_attention: bool = False  # Odd blocks attend to themselves.
    norm_type: Literal["ada_norm"] = "ada_norm"


class SharedHeadConfig(FrozenModel):
    """What the configurations of N1.5 and of N1.7 say alike of the action head."""

    model_config = ConfigDict(extra="ignore")

    hidden_size: Size = Field(default=1024, description="Width inside the state and action MLPs")
    input_embedding_dim: Size = 1536  # Width of the diffusion transformer.
    max_seq_len: Size = Field(default=1024, description="Rows of the action position embedding")
    max_num_embodiments: Size = 32
    add_pos_embed: bool = True
    use_vlln: bool = True
    noise_beta_alpha: float = Field(default=1.5, gt=0)
    noise_beta_beta: float = Field(default=1.0, gt=0)
    noise_s: float = Field(default=0.999, gt=0)
    num_timestep_buckets: Size = 1000
    num_inference_timesteps: int = Field(default=4, ge=1, le=1000, description="Denoising steps")
    embodiment_init: Literal["fan_in", "normal_0.02"] = Field(
        default="normal_0.02",
        description="Standard deviation of new per-embodiment weights: 1/sqrt(fan_in), or 0.02 "
        "as in Isaac-GR00T, which starves a narrow model of gradient",
    )


class ActionHeadConfig(SharedHeadConfig):
    """``action_head_cfg`` of Isaac-GR00T, and ``embodiment_init``, which is ours."""

    action_dim: Size
    action_horizon: Size = Field(description="Actions of one prediction")
    max_state_dim: Size = 64
    max_action_dim: Size | None = None
    backbone_embedding_dim: Size = 1536
    num_target_vision_tokens: int = Field(default=32, ge=0, le=10**6)  # Learned future tokens.
    diffusion_model_cfg: DiffusionModelConfig
    vl_self_attention_cfg: SelfAttentionConfig | None = None
    model_dtype: str = "float32"
    tune_projector: bool = True
    tune_diffusion_model: bool = True
    expand_batch: None = None

    @property
    def layers(self) -> int:
        """Layers of its transformers."""
        parts = (self.diffusion_model_cfg, self.vl_self_attention_cfg)
        return sum(part.num_layers for part in parts if part is not None)

    def times(self, beta: Any) -> Any:
        """Times of flow matching for draws ``b`` of the Beta distribution: (s - b) / s."""
        return (self.noise_s - beta) / self.noise_s

    def mismatches(self, features: int, text: TextConfig, select_layer: int) -> list[str]:
        """What does not match the width of the features or the text tower that is cut."""
        dit, above = self.diffusion_model_cfg, self.vl_self_attention_cfg
        problems = []
        if not 1 <= select_layer <= text.num_hidden_layers:
            found = f"select_layer is {select_layer}"
            problems.append(f"{found}, not within 1 to {text.num_hidden_layers}")
        if self.use_vlln and above is None:
            problems.append("use_vlln is true, vl_self_attention_cfg is missing")
        if dit.cross_attention_dim is None:
            problems.append("diffusion_model_cfg.cross_attention_dim is missing")
        problems += unequal(
            ("input_embedding_dim", self.input_embedding_dim, "diffusion_model_cfg", dit.width),
            ("hidden_size", self.hidden_size, "diffusion_model_cfg.output_dim", dit.output_dim),
            ("cross_attention_dim", dit.cross_attention_dim, "the features", features),
            ("vl_self_attention_cfg", above and above.width, "the features", features),
        )
        if self.add_pos_embed and self.action_horizon > self.max_seq_len:
            problems.append(f"action_horizon {self.action_horizon} is over {self.max_seq_len}")
        return problems


def known_fields(model: type[BaseModel], raw: dict[str, Any]) -> dict[str, Any]:
    """Of a JSON object what a model has a field for."""
    return {name: raw[name] for name in model.model_fields if name in raw}


def unequal(*pairs: tuple[str, int | None, str, int]) -> list[str]:
    """Of pairs of sizes that have to be equal those that are not; None is equal to any."""
    return [f"{a} is {x}, {b} has {y}" for a, x, b, y in pairs if x not in (None, y)]


class ModelConfig(FrozenModel):
    """Everything that decides N1.5's parameters and their shapes; each width fits its neighbour."""

    backbone: BackboneConfig
    towers: TowersConfig
    action_head: ActionHeadConfig
    generation: ClassVar[GenerationName] = "n1.5"
    compute_dtype: Literal["float32", "bfloat16", "float16"] = "float32"

    @property
    def layers(self) -> int:
        """Layers of all parts; each has tensors of its own."""
        vision = self.towers.vision_config.num_hidden_layers
        return vision + self.backbone.select_layer + self.action_head.layers

    @property
    def tokens_per_image(self) -> int:
        """Image tokens that one camera view takes in the prompt."""
        vision = self.towers.vision_config
        return (vision.image_size // vision.patch_size) ** 2

    def image_tokens(self, height: int, width: int) -> int:
        """Image tokens of an image, whose size does not matter: it is always the same."""
        return self.tokens_per_image

    @property
    def image_recipe(self) -> ImageRecipe:
        """What is made of frames: a square image."""
        return ImageRecipe(self.image_size)

    @property
    def image_size(self) -> int:
        """Side of the square image in pixels."""
        return self.towers.vision_config.image_size

    @model_validator(mode="after")
    def _widths_match(self) -> Self:
        head, text, token = self.action_head, self.towers.text_config, self.towers.image_token_index
        features = self.backbone.project_to_dim or text.hidden_size
        problems = head.mismatches(features, text, self.backbone.select_layer)
        if not token < text.vocab_size:
            found = f"image_token_index {token} is outside the vocabulary of {text.vocab_size}"
            problems.append(found)
        problems += unequal(
            ("backbone_embedding_dim", head.backbone_embedding_dim, "the features", features),
            ("max_action_dim", head.max_action_dim, "action_dim", head.action_dim),
        )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def with_action_horizon(self, action_horizon: int) -> Self:
        """The same model that predicts so many actions; ValueError where it cannot.

        No parameter changes shape.
        """
        head = self.action_head
        if head.add_pos_embed and action_horizon > head.max_seq_len:
            raise ValueError(f"it can predict 1 to {head.max_seq_len}")
        head = head.model_copy(update={"action_horizon": action_horizon})
        return self.model_copy(update={"action_head": head})

    def to_json(self) -> dict[str, Any]:
        """The content of ``config.json``: Isaac-GR00T's keys, and the towers under ``towers``."""
        return {
            "architectures": ["GR00T_N1_5"],
            "model_type": MODEL_TYPE,
            "action_dim": self.action_head.action_dim,
            "action_horizon": self.action_head.action_horizon,
            "compute_dtype": self.compute_dtype,
            "backbone_cfg": self.backbone.model_dump(),
            "action_head_cfg": self.action_head.model_dump(),
            "towers": self.towers.model_dump(),
        }


def parse_config(raw: dict[str, Any]) -> ModelConfig:
    """Read a ``config.json``. Keys that do not bear on the model are passed over.

    Isaac-GR00T's layout (``backbone_cfg`` and ``action_head_cfg``) leaves the towers out, since its
    code holds them; ours adds them, so that both programs read one file. The flat layout has every
    field at the top.

    Raises:
        ValueError: It is another model's configuration, or does not describe an N1.5.
    """
    if "vision_config" in raw and "action_head_cfg" not in raw:
        towers = {"tokenizer": "bytes"} | known_fields(TowersConfig, raw)
        layer = raw.get("select_layer", -1)
        return ModelConfig(
            backbone=BackboneConfig(project_to_dim=None, select_layer=layer),
            towers=TowersConfig.model_validate(towers),
            action_head=ActionHeadConfig.model_validate(raw),
        )
    if raw.get("model_type") != MODEL_TYPE:
        raise ValueError(f"model_type is {raw.get('model_type')!r}, expected {MODEL_TYPE!r}")
    parts = ("backbone_cfg", "action_head_cfg")
    if missing := [key for key in parts if not isinstance(raw.get(key), dict)]:
        raise ValueError(f"{' and '.join(missing)} missing, or no object")
    sizes = {key: raw[key] for key in ("action_dim", "action_horizon") if key in raw}
    return ModelConfig(
        backbone=BackboneConfig.model_validate(raw["backbone_cfg"]),
        towers=TowersConfig.model_validate(raw.get("towers", {})),
        action_head=ActionHeadConfig.model_validate(sizes | raw["action_head_cfg"]),
        compute_dtype=raw.get("compute_dtype") or "float32",
    )


TINY = parse_config(json.loads(Path(__file__).with_name("tiny.json").read_text(encoding="utf-8")))
"""Random weights that train on a CPU within minutes: the default base model."""
