"""Random batches for tests of the native model."""

import torch
from torch import Tensor

from gr00t_assets.trainers.n15.architecture import ModelConfig
from gr00t_assets.trainers.native.prompts import byte_tokenizer, padded_prompts


def random_batch(config: ModelConfig, tasks: list[str], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    size, head = len(tasks), config.action_head
    tokenizer = byte_tokenizer()
    prompts = [tokenizer.prompt_ids(task, 1, config.tokens_per_image) for task in tasks]
    input_ids, attention_mask = padded_prompts(prompts, tokenizer.pad_id)
    side = config.image_size
    mask = torch.zeros(size, head.action_horizon, head.action_dim, dtype=torch.bool)
    mask[..., :26] = True
    return {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "pixel_values": torch.rand(size, 3, side, side, generator=generator) * 2 - 1,
        "state": torch.randn(size, 1, head.max_state_dim, generator=generator),
        "action": torch.randn(mask.shape, generator=generator),
        "action_mask": mask,
        "embodiment_id": torch.arange(size) % head.max_num_embodiments,
    }
