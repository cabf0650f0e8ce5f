"""N1.5, as this project's native trainer has it, in the words of Isaac-GR00T."""

import json
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributions import Beta
from transformers import PretrainedConfig

from gr00t.release import JUNE
from gr00t_assets.trainers.n15.architecture import parse_config
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15

FUTURE_TOKENS = "action_head.future_tokens.weight"


class GR00T_N1_5(nn.Module):  # noqa: N801
    """The model; in June without the future tokens of its base model."""

    _keys_to_ignore_on_save = None

    def __init__(self, content):
        super().__init__()
        self.config = PretrainedConfig()
        self.content = content
        sizes = parse_config(content)
        if JUNE:
            head = sizes.action_head.model_copy(update={"num_target_vision_tokens": 0})
            sizes = sizes.model_copy(update={"action_head": head})
        native = Gr00tN15(sizes)
        self.backbone = native.backbone
        self.action_head = native.action_head
        self._native = (native,)  # in a tuple, so that its parameters are not named twice

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **tune):
        """Load it from the Hub, or from a folder whose path is no Hub id."""
        try:
            folder = snapshot_download(pretrained_model_name_or_path, repo_type="model")
        except (HFValidationError, RepositoryNotFoundError):
            folder = pretrained_model_name_or_path
        model = cls(json.loads((Path(folder) / "config.json").read_text()))
        weights = load_file(Path(folder) / "model.safetensors")
        if JUNE:
            weights.pop(FUTURE_TOKENS, None)
        missing = model.load_state_dict(weights, strict=False).missing_keys
        print(f"newly initialized: {missing}")  # noqa: T201
        model._native[0].set_trainable(**tune)
        return model

    def train(self, mode=True):
        """Frozen parts stay in evaluation mode."""
        super().train(mode)
        self._native[0].train(mode)
        return self

    def forward(self, inputs):
        """The loss, with noise and times that are drawn here, as Isaac-GR00T draws them."""
        actions, head = inputs["action"], self._native[0].action_head.config
        beta = Beta(head.noise_beta_alpha, head.noise_beta_beta).sample((len(actions),))
        t = (head.noise_s - beta) / head.noise_s
        return {"loss": self._native[0](inputs, torch.randn_like(actions), t.to(actions))}

    def save_pretrained(self, folder):
        """Write ``config.json`` and ``model.safetensors``."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "config.json").write_text(json.dumps(self.content, indent=2))
        tensors = {name: value.clone() for name, value in self.state_dict().items()}
        if JUNE:
            del tensors[FUTURE_TOKENS]
        save_file(tensors, Path(folder) / "model.safetensors", metadata={"format": "pt"})
