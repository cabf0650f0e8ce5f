"""Sizes of GR00T N1.7: its towers and its action head, with the names of its ``config.json``."""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.modality.camera_images import ImageRecipe, patch_size
from gr00t_assets.modality.generations import GenerationName
from gr00t_assets.trainers.n15 import architecture as n15
from gr00t_assets.trainers.n15.architecture import Layers, Size, known_fields, unequal

MODEL_TYPE = "Gr00tN1d7"
_QWEN_VOCABULARY = 151_643  # Tokens without the special ones.
_IGNORING = ConfigDict(extra="ignore")


class RopeConfig(FrozenModel):
    """Sections of the rotary positions that count time, height and width."""

    mrope_interleaved: Literal[True] = True
    mrope_section: tuple[int, int, int] = (24, 20, 20)
    rope_type: Literal["default"] = "default"


class Qwen3TextConfig(n15.TextConfig):
    """The Qwen3-VL text tower. Defaults are Cosmos-Reason2-2B's, those of Qwen3-VL-2B."""

    model_config = _IGNORING
    vocab_size: int = Field(default=151_936, ge=1, le=10**7)
    rope_theta: float = 5_000_000
    rope_scaling: RopeConfig = RopeConfig()
    max_position_embeddings: Size = 262_144


class Qwen3VisionConfig(FrozenModel):
    """The Qwen3-VL vision tower. Defaults are Cosmos-Reason2-2B's."""

    model_config = _IGNORING
    depth: Layers = 24
    hidden_size: Size = 1024
    intermediate_size: Size = 4096
    num_heads: Size = 16
    in_channels: Literal[3] = 3
    patch_size: Size = 16
    temporal_patch_size: Size = 2
    spatial_merge_size: Size = 2
    num_position_embeddings: Size = 2304
    out_hidden_size: Size = 2048
    deepstack_visual_indexes: tuple[int, ...] = (5, 11, 17)
    hidden_act: str = "gelu_pytorch_tanh"


class TowersConfig(FrozenModel):
    """Both towers. Defaults are the ones that N1.7 is built on."""

    model_config = _IGNORING
    text_config: Qwen3TextConfig = Qwen3TextConfig()
    vision_config: Qwen3VisionConfig = Qwen3VisionConfig()
    image_token_id: int = Field(default=151_655, ge=0)
    video_token_id: int = Field(default=151_656, ge=0)
    vision_start_token_id: int = Field(default=151_652, ge=0)
    vision_end_token_id: int = Field(default=151_653, ge=0)
    tokenizer: Literal["qwen", "bytes"] | None = Field(
        default=None,
        validate_default=True,
        description="Qwen3-VL's, or one token per UTF-8 byte; the latter where the vocabulary is "
        "too small for Qwen's",
    )

    @field_validator("tokenizer", mode="before")
    @classmethod
    def _of_vocabulary(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None or "text_config" not in info.data:
            return value
        is_qwens = info.data["text_config"].vocab_size >= _QWEN_VOCABULARY
        return "qwen" if is_qwens else "bytes"


class N17DiffusionModelConfig(n15.DiffusionModelConfig):
    """The diffusion transformer, whose cross-attention alternates between text and images."""

    model_config = _IGNORING
    # Of the blocks with cross-attention, each so many sees text.
    attend_text_every_n_blocks: int = Field(default=2, ge=1)


class N17ActionHeadConfig(n15.ActionHeadConfig):
    """N1.7's action head."""

    diffusion_model_cfg: N17DiffusionModelConfig
    state_dropout_prob: float = Field(default=0.2, ge=0, le=1)

    def times(self, beta: Any) -> Any:
        """Times of flow matching for draws ``b`` of the Beta distribution: (1 - b) s."""
        return (1 - beta) * self.noise_s


class N17Config(n15.SharedHeadConfig):
    """``config.json`` of N1.7, every field at the top, and the towers under ``qwen3_vl_config``.

    Defaults are what ``nvidia/GR00T-N1.7-3B`` is said to have where NVIDIA's class has others.
    """

    model_name: str = "nvidia/Cosmos-Reason2-2B"
    select_layer: int = Field(default=16, description="Layers that the text tower is cut to")
    backbone_embedding_dim: Size = 2048
    max_state_dim: Size = 132
    max_action_dim: Size = 132
    action_horizon: Size = 40
    state_history_length: Literal[1] = 1
    use_alternate_vl_dit: Literal[True] = True
    attend_text_every_n_blocks: int = Field(default=2, ge=1)
    diffusion_model_cfg: dict[str, Any]
    vl_self_attention_cfg: dict[str, Any] | None = None
    state_dropout_prob: float = Field(default=0.2, ge=0, le=1)
    tune_vlln: Literal[True] = True
    shortest_image_edge: Size = 256
    min_pixels: int = Field(default=65_536, ge=1)  # Of an image once it is cut into patches.
    generation: ClassVar[GenerationName] = "n1.7"
    model_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    qwen3_vl_config: TowersConfig = TowersConfig()

    def __hash__(self) -> int:
        """Of its content, whose dicts have no hash."""
        return hash(self.model_dump_json())

    @property
    def towers(self) -> TowersConfig:
        """Those of both towers, by the name that N1.5 has for them."""
        return self.qwen3_vl_config

    @property
    def action_head(self) -> N17ActionHeadConfig:
        """The sizes of the action head, in the form that both generations share."""
        width = self.backbone_embedding_dim
        names = N17ActionHeadConfig.model_fields.keys() & N17Config.model_fields.keys()
        shared = {name: getattr(self, name) for name in names}
        shared["diffusion_model_cfg"] = {
            **self.diffusion_model_cfg,
            "cross_attention_dim": width,
            "attend_text_every_n_blocks": self.attend_text_every_n_blocks,
        }
        if (over_features := self.vl_self_attention_cfg) is not None:
            shared["vl_self_attention_cfg"] = known_fields(n15.SelfAttentionConfig, over_features)
        return N17ActionHeadConfig.model_validate(
            {**shared, "action_dim": self.max_action_dim, "num_target_vision_tokens": 0}
        )

    @property
    def image_recipe(self) -> ImageRecipe:
        """What is made of frames: an image of their aspect."""
        return ImageRecipe(self.shortest_image_edge, keeps_aspect=True)

    def image_grid(self, height: int, width: int) -> tuple[int, int]:
        """Patches of an image in height and width, once its size is one that patches fit."""
        vision = self.qwen3_vl_config.vision_config
        multiple = vision.patch_size * vision.spatial_merge_size
        sides = patch_size(height, width, multiple, self.min_pixels)
        return sides[0] // vision.patch_size, sides[1] // vision.patch_size

    def image_tokens(self, height: int, width: int) -> int:
        """Image tokens that an image takes in the prompt."""
        rows, columns = self.image_grid(height, width)
        return rows * columns // self.qwen3_vl_config.vision_config.spatial_merge_size**2

    def with_action_horizon(self, action_horizon: int) -> Self:
        """The same model: shorter chunks are padded to what it predicts, as in Isaac-GR00T.

        ValueError where it predicts fewer.
        """
        if action_horizon > self.action_horizon:
            raise ValueError(f"it can predict 1 to {self.action_horizon}")
        return self

    @property
    def layers(self) -> int:
        """Layers of all parts; each has tensors of its own."""
        vision = self.qwen3_vl_config.vision_config.depth
        return vision + self.select_layer + self.action_head.layers

    @model_validator(mode="after")
    def _widths_match(self) -> Self:
        towers, width = self.qwen3_vl_config, self.backbone_embedding_dim
        text, seen = towers.text_config, towers.vision_config.out_hidden_size
        problems = self.action_head.mismatches(width, text, self.select_layer)
        problems += unequal(
            ("backbone_embedding_dim", width, "text_config.hidden_size", text.hidden_size),
            ("out_hidden_size", seen, "the text", text.hidden_size),
        )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def to_json(self) -> dict[str, Any]:
        """The content of ``config.json``; by ``dtype`` other programs keep the weights as saved."""
        named = {"architectures": [MODEL_TYPE], "model_type": MODEL_TYPE, "dtype": "float32"}
        return {**named, **self.model_dump()}


def parse_config(raw: dict[str, Any]) -> N17Config:
    """Read a ``config.json``, without what does not bear on the model; ValueError: no N1.7."""
    unset = raw.get("shortest_image_edge", 0) is None
    return N17Config.model_validate(raw | {"shortest_image_edge": 256} if unset else raw)


TINY = parse_config(json.loads(Path(__file__).with_name("tiny.json").read_text(encoding="utf-8")))
"""Random weights that train on a CPU within minutes."""
