"""N1.7, as this project's native trainer has it, in the words of Isaac-GR00T."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributions import Beta
from transformers import PretrainedConfig

from gr00t.model.modules.qwen3_backbone import make_towers
from gr00t_assets.trainers.n17.architecture import parse_config
from gr00t_assets.trainers.native.gr00t_n17 import Gr00tN17


class Gr00tN1d7(nn.Module):
    """The model."""

    _keys_to_ignore_on_save = None

    def __init__(self, content, model_name):
        super().__init__()
        self.config, self.content = PretrainedConfig(), content
        make_towers(model_name)
        native = Gr00tN17(parse_config(content))
        self.backbone, self.action_head = native.backbone, native.action_head
        self._native = (native,)  # in a tuple, so that its parameters are not named twice

    @classmethod
    def from_pretrained(cls, folder, model_name, **tune):
        """Load it from a folder."""
        model = cls(json.loads((Path(folder) / "config.json").read_text()), model_name)
        found = model.load_state_dict(load_file(Path(folder) / "model.safetensors"), strict=False)
        assert not found.unexpected_keys
        # It has none of them; its parameter of no elements is not saved.
        assert set(found.missing_keys) <= {"action_head.future_tokens.weight"}
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
        t = head.times(beta).to(actions)
        return {"loss": self._native[0](inputs, torch.randn_like(actions), t)}

    def save_pretrained(self, folder):
        """Write ``config.json`` and ``model.safetensors``."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "config.json").write_text(json.dumps(self.content, indent=2))
        tensors = {
            name: value.clone() for name, value in self.state_dict().items() if value.numel()
        }
        save_file(tensors, Path(folder) / "model.safetensors", metadata={"format": "pt"})
