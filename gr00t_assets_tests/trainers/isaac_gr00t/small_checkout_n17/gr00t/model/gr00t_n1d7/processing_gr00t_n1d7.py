"""From rows to batches, by this project's own prompts and images."""

import json
import random
from pathlib import Path

import numpy as np
import torch

from gr00t_assets.modality.camera_images import edge_images
from gr00t_assets.trainers.base_model_files import load_config
from gr00t_assets.trainers.native.gr00t_n17 import Gr00tN17
from gr00t_assets.trainers.native.prompts import N17_PROMPT, load_tokenizer, padded_prompts


def build_processor(model_name, transformers_loading_kwargs):
    """The tokenizer, which the Hub has."""
    return load_tokenizer(Path(model_name), 261, N17_PROMPT)


class Gr00tN1d7Processor:
    """Normalises by its statistics; relative actions are left to the model here."""

    def __init__(self, folder, model_name):
        self.kwargs = json.loads((folder / "processor_config.json").read_text())["processor_kwargs"]
        self.statistics = json.loads((folder / "statistics.json").read_text())
        self.embodiment_id_mapping = json.loads((folder / "embodiment_id.json").read_text())
        self.tokenizer = build_processor(model_name, {})
        self.config = load_config(folder / "config.json")
        with torch.device("meta"):
            self.model = Gr00tN17(self.config)
        self.tag = None

    def __call__(self, messages):
        content = messages[0]["content"]
        brightness = random.random() * 0.1
        frames = np.stack([frame for frames in content.images.values() for frame in frames])
        edge = self.kwargs["shortest_image_edge"]
        cut = edge_images(torch.from_numpy(frames)[None], edge, self.kwargs["crop_fraction"])
        state = np.concatenate([*content.states.values()], axis=-1)
        action = np.concatenate([*content.actions.values()], axis=-1)
        padded = {"state": np.zeros((1, 132)), "action": np.zeros((40, 132))}
        padded["state"][:, : state.shape[1]] = state
        padded["action"][: len(action), : action.shape[1]] = action + brightness
        mask = np.zeros((40, 132))
        mask[: len(action), : action.shape[1]] = 1
        return {
            **{name: value.astype(np.float32) for name, value in padded.items()},
            "action_mask": mask.astype(np.float32),
            "embodiment_id": self.embodiment_id_mapping[self.tag],
            "vlm_content": (content.text, cut[0]),
        }

    def collate(self, features):
        """A batch."""
        batch = {
            name: torch.from_numpy(np.stack([item[name] for item in features]))
            for name in ("state", "action", "action_mask", "embodiment_id")
        }
        texts, images = zip(*(item["vlm_content"] for item in features), strict=True)
        images = torch.cat(images).permute(0, 3, 1, 2)
        tokens = self.config.image_tokens(images.shape[2], images.shape[3])
        count = len(images) // len(features)
        prompts = [self.tokenizer.prompt_ids(text, count, tokens) for text in texts]
        ids, attention = padded_prompts(prompts, self.tokenizer.pad_id)
        patches = self.model.pixels(images)
        return {"inputs": {**batch, "input_ids": ids, "attention_mask": attention, **patches}}

    def save_pretrained(self, folder):
        """The three files."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in {
            "processor_config": {"processor_kwargs": self.kwargs},
            "statistics": self.statistics,
            "embodiment_id": self.embodiment_id_mapping,
        }.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
