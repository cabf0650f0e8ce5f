"""From samples to batches."""

import json
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from gr00t.data.embodiment_tags import EMBODIMENT_TAG_MAPPING
from gr00t_assets.trainers.native.prompts import load_tokenizer, padded_prompts

from .backbone.eagle_backbone import DEFAULT_EAGLE_PATH

WIDTHS = {"state": 64, "action": 32}


def read_eagle(eagle_path):
    """Tokenizer, side of an image in pixels, tokens of an image."""
    config = json.loads((Path(eagle_path) / "config.json").read_text())
    vision = config["vision_config"]
    tokens = (vision["image_size"] // vision["patch_size"]) ** 2
    return load_tokenizer(Path(eagle_path), config["image_token_index"]), vision, tokens


class GR00TTransform:
    """Normalises, pads and resizes one sample."""

    def __init__(self, modality_configs, eagle=read_eagle(DEFAULT_EAGLE_PATH)):  # noqa: B008
        self._keys = {name: config.modality_keys for name, config in modality_configs.items()}
        self._side = eagle[1]["image_size"]

    def set_metadata(self, metadata):
        """Take over the statistics."""
        self._statistics = metadata.statistics
        self._embodiment = EMBODIMENT_TAG_MAPPING[metadata.embodiment_tag]

    def __call__(self, data):
        """One sample."""
        state, _ = self._vector(data, "state")
        action, mask = self._vector(data, "action")
        frames = np.stack([data[key][0] for key in self._keys["video"]])
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
        return {
            "state": state,
            "action": action,
            "action_mask": mask,
            "pixel_values": interpolate(pixels, size=(self._side, self._side), mode="bilinear"),
            "text": data[self._keys["language"][0]][0],
            "embodiment_id": torch.tensor(self._embodiment),
        }

    def _vector(self, data, modality):
        parts = []
        for key in self._keys[modality]:
            stats = getattr(self._statistics, modality)[key.split(".", 1)[1]]
            low, high = np.array(stats.min), np.array(stats.max)
            span = np.where(high > low, high - low, 1)
            parts.append((data[key] - low) / span * 2 - 1)
        joined = torch.from_numpy(np.concatenate(parts, axis=-1)).float()
        padded = torch.zeros(len(joined), WIDTHS[modality])
        padded[:, : joined.shape[1]] = joined
        mask = torch.zeros_like(padded)
        mask[:, : joined.shape[1]] = 1
        return padded, mask


class DefaultDataCollator:
    """Stacks samples; their texts become tokens."""

    def __init__(self, eagle_path=DEFAULT_EAGLE_PATH):
        self._tokenizer, _, self._tokens = read_eagle(eagle_path)

    def __call__(self, features):
        """One batch."""
        texts = [feature["text"] for feature in features]
        cameras = len(features[0]["pixel_values"])
        prompts = [self._tokenizer.prompt_ids(text, cameras, self._tokens) for text in texts]
        ids, mask = padded_prompts(prompts, self._tokenizer.pad_id)
        batch = {
            key: torch.stack([feature[key] for feature in features])
            for key in ("state", "action", "action_mask", "embodiment_id")
        }
        batch["pixel_values"] = torch.cat([feature["pixel_values"] for feature in features])
        return {**batch, "input_ids": ids, "attention_mask": mask}
