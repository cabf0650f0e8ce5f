"""What the models of every generation of GR00T share: a backbone, an action head, trained parts."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from gr00t_assets.trainers.native.action_head import Batch, FlowMatchingActionHead
from gr00t_assets.trainers.native.prompts import PromptFormat


def seen_by_each(mask: Tensor) -> Tensor:
    """Of a prompt's mask (B, L) what each token sees, (B, 1, L, L) bool; padding sees itself.

    transformers makes the like of a mask (B, L), and waits for the GPU meanwhile.
    """
    length = mask.shape[1]
    pairs = torch.ones(length, length, dtype=torch.bool, device=mask.device)
    return pairs.tril() & (mask.bool()[:, None, None, :] | pairs.triu())


class Backbone(nn.Module, ABC):
    """Both towers of transformers, nested so that parameter names are those of NVIDIA's files."""

    towers_name: ClassVar[str]  # Of the module that has both and what is between them.
    vision_name: ClassVar[str]
    text_name: ClassVar[str]
    image_token: int  # Id of the token that stands for a part of an image.

    @property
    def towers(self) -> nn.Module:
        """What features are made with: both towers and what is between them."""
        return self.get_submodule(self.towers_name)

    @property
    def vision(self) -> Any:
        """The vision tower."""
        return self.get_submodule(self.vision_name)

    @property
    def text(self) -> Any:
        """The text tower."""
        return self.get_submodule(self.text_name)

    @property
    def visual(self) -> list[nn.Module]:
        """What ``tune_visual`` trains."""
        return [self.vision]

    @abstractmethod
    def features(self, batch: Batch) -> Tensor:
        """See ``forward``."""

    @abstractmethod
    def rebuild_buffers(self) -> None:
        """Compute anew the buffers that no file holds, after ``to_empty`` left them unset."""

    def places(self, batch: Batch) -> Tensor:
        """Places of the image tokens in the flat prompts, (N,) int64.

        Without ``image_places`` in the batch a GPU is asked for them, and waited for.
        """
        if (known := batch.get("image_places")) is not None:
            return known
        return (batch["input_ids"] == self.image_token).flatten().nonzero().flatten()

    def embed(self, ids: Tensor, places: Tensor, patches: Tensor) -> Tensor:
        """Token embeddings (B, L, D) with patches of images (N, D) in their places."""
        tokens = self.text.embed_tokens(ids)
        if len(places) != len(patches):
            raise ValueError(f"{len(places)} image tokens in the prompts, {len(patches)} patches")
        return tokens.flatten(0, 1).index_copy(0, places, patches.to(tokens.dtype)).view_as(tokens)

    def kinds(self, batch: Batch) -> Tensor | None:
        """What the action head is told of each token (B, L), 0 of padding; None if all count."""
        return batch.get("attention_mask")

    def forward(self, batch: Batch) -> Tensor:
        """The towers' features of prompts and images (B, L, D); of padded tokens they mean nothing.

        Frozen towers run without recording gradients.

        Raises:
            ValueError: The prompts have more or fewer image tokens than the images have patches.
        """
        trained = any(parameter.requires_grad for parameter in self.towers.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and trained):
            return self.features(batch)


class Gr00tModel(nn.Module, ABC):
    """A model with NVIDIA's parameter names; ``state_dict`` is what a file holds.

    A batch has ``input_ids`` and ``attention_mask`` (B, L) int64, ``pixel_values`` as the backbone
    takes them, ``state`` (B, 1, max_state_dim), ``embodiment_id`` (B,) int64, or (1,) where all
    samples have the same, and for the loss ``action`` and ``action_mask`` (B, horizon, action_dim).
    Without ``attention_mask`` nothing is padded; ``placed`` adds what spares asking a GPU. The
    towers' attention ``attn`` is ``sdpa`` or ``flash_attention_2``.
    """

    prompt: ClassVar[PromptFormat]
    lm_head: ClassVar[str]  # In files: tied to the embeddings and not part of the model.
    embedding: ClassVar[str]
    unused: ClassVar[str]  # A module that files hold and the forward pass never reads.
    backbone_type: ClassVar[Any]
    action_head_type: ClassVar[type[FlowMatchingActionHead]] = FlowMatchingActionHead
    _frozen: list[nn.Module]

    def __init__(self, config: Any, attn: str = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.backbone: Any = self.backbone_type(config, attn)
        self.action_head = self.action_head_type(config.action_head)
        self.set_trainable(True, True, True, True)

    @abstractmethod
    def pixels(self, images: Tensor) -> dict[str, Tensor]:
        """What a batch has of images (N, 3, height, width) uint8, on their device."""

    def placed(self, batch: Batch) -> Batch:
        """A batch on the CPU with what a GPU would have to be asked for, and waited for, later.

        It gets ``image_places``. Where nothing is padded ``attention_mask`` is left out; else there
        are ``kept_places``, where the flat prompts are no padding, int64, and ``prompt_starts``
        (B + 1,), where each begins and the last ends once padding is left out, int32.
        ``embodiment_id`` is (1,) where all samples have the same.
        """
        kept = {**batch, "image_places": self.backbone.places(batch)}
        ids, mask = batch["embodiment_id"], batch["attention_mask"]
        if bool((ids == ids[0]).all()):
            kept["embodiment_id"] = ids[:1]
        if bool(mask.all()):
            del kept["attention_mask"]
        else:
            kept["kept_places"] = mask.flatten().nonzero().flatten()
            kept["prompt_starts"] = pad(mask.sum(1).cumsum(0), (1, 0)).int()
        return kept

    @property
    def attention(self) -> str:
        """The attention of the towers, as transformers names it."""
        return self.backbone.text.config._attn_implementation

    def backbone_features(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Features of the prompt and its images (B, L, D), and what the head is told of each.

        A batch may have the towers' ``features`` (B, L, D) in place of pixels.
        """
        known = batch.get("features")
        features = self.backbone(batch) if known is None else known
        return features, self.backbone.kinds(batch)

    def forward(
        self, batch: Batch, noise: Tensor, t: Tensor, entries: float | None = None
    ) -> Tensor:
        """Flow-matching loss of a batch, a scalar; see ``FlowMatchingActionHead.forward``.

        ``noise`` is (B, horizon, action_dim), the times ``t`` are (B,) in [0, 1].
        """
        return self.action_head(*self.backbone_features(batch), batch, noise, t, entries)

    def parts(self) -> dict[str, list[nn.Module]]:
        """Modules by the flag that trains them, in the order of ``set_trainable``."""
        return {
            "llm": [self.backbone.text],
            "visual": self.backbone.visual,
            "projector": self.action_head.projector(),
            "diffusion_model": [self.action_head.model],
        }

    def layers(self) -> list[nn.Module]:
        """Every layer of both towers and of the action head."""
        return [item for item in self.modules() if isinstance(item, GradientCheckpointingLayer)]

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
        for module in [*self._frozen, self.get_submodule(self.unused)]:
            module.requires_grad_(False)
        for parameter in self.parameters():
            if not parameter.numel():  # The future tokens of a model without any.
                parameter.requires_grad_(False)
        self.train(self.training)

    def recompute_activations(self) -> None:
        """Keep less of the forward pass: the backward pass computes each layer once more.

        Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
        """
        layer: Any
        for layer in self.layers():
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def compile_layers(self, attempt: Callable[[], object]) -> str | None:
        """Compile each layer in place; no name changes, and where it fails none is compiled.

        Layers of one kind share what is compiled, so that it takes as long as one of each. What is
        trained is set already. ``attempt`` runs the model forward and backward, which is when torch
        compiles. The answer is why nothing is compiled; ``None`` where it is.

        Raises:
            torch.OutOfMemoryError: The GPU has too little memory.
        """
        layers = self.layers()
        # Kinds of layers times shapes times modes of training: all modules that are compiled in
        # place share one count in torch, which stops at 8.
        torch._dynamo.config.recompile_limit = 64
        for layer in layers:
            layer.compile()
        try:
            attempt()
        except torch.OutOfMemoryError:
            raise
        # Compilers fail in ways of their own: of dynamo, of inductor, of the system.
        except Exception as error:
            for layer in layers:
                layer._compiled_call_impl = None
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            return lines[0][:200] if lines else type(error).__name__
        # A shape that comes later and cannot be compiled is no reason to end a training.
        torch._dynamo.config.suppress_errors = True
        return None

    def train(self, mode: bool = True) -> Self:
        """Set training mode on the parts that are trained."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def trainable_parameters(self) -> dict[str, int]:
        """Number of trained parameters: llm, visual, projector, diffusion_model, other."""
        counts = {part: sum(map(_trained, modules)) for part, modules in self.parts().items()}
        return {**counts, "other": _trained(self) - sum(counts.values())}


def _trained(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
