"""Two steps, a checkpoint and the saved model of an N1.5 in full size with random weights.

``python -m gr00t_assets_tests.trainers.native.full_size_steps DIR [NAME=VALUE ...]`` trains with
the hyperparameters named, on a CPU in mixed precision with frozen towers in bfloat16, and prints
what it measured as JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path

import psutil
import torch

from gr00t_assets.trainers.n15.architecture import TINY, ModelConfig, parse_config
from gr00t_assets.trainers.native.action_head import by_embodiment
from gr00t_assets.trainers.native.base_models import Device, save_model
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.memory import PROMPT_TOKENS, memory_need
from gr00t_assets.trainers.native.optimizer import (
    finish_training,
    make_optimizer,
    optimizer_tensors,
    set_up_training,
    trainable,
)
from gr00t_assets.trainers.native.training_state import TrainingState, save_checkpoint
from gr00t_assets.trainers.native.weights import load_weights, stored_weights
from gr00t_assets_tests.trainers.n15_release import N1_5_FULL


def shallow() -> ModelConfig:
    """The released model with fewer layers of every kind and all of their widths."""
    raw = N1_5_FULL.to_json()
    raw["backbone_cfg"]["select_layer"] = 2
    raw["towers"]["vision_config"]["num_hidden_layers"] = 3
    raw["action_head_cfg"]["diffusion_model_cfg"]["num_layers"] = 2
    raw["action_head_cfg"]["vl_self_attention_cfg"]["num_layers"] = 1
    return parse_config(raw)


def empty_model(config: ModelConfig) -> Gr00tN15:
    """A model without memory, its towers bfloat16."""
    with torch.device("meta"):
        model = Gr00tN15(config)
    model.backbone.bfloat16()
    return model


def random_model(config: ModelConfig) -> Gr00tN15:
    """A model of random weights, as small as those of a trained one."""
    model = empty_model(config).to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.03, 0.03)
    model.backbone.rebuild_buffers()
    return model


def one_sample(config: ModelConfig) -> dict[str, torch.Tensor]:
    """A sample of one camera."""
    images = config.tokens_per_image
    ids = torch.ones(1, images + PROMPT_TOKENS, dtype=torch.long)
    ids[:, :images] = config.towers.image_token_index
    head, side = config.action_head, config.image_size
    action = torch.rand(1, head.action_horizon, head.action_dim)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.rand(1, 3, side, side),
        "state": torch.rand(1, 1, head.max_state_dim),
        "embodiment_id": torch.zeros(1, dtype=torch.long),
        "action": action,
        "action_mask": torch.ones_like(action, dtype=torch.bool),
    }


def sums(model: Gr00tN15) -> dict[str, float]:
    """A sum of each tensor's numbers, each times one of a fixed pattern."""
    found = {}
    for name, tensor in model.state_dict().items():
        pattern = torch.arange(tensor.numel() % 977 + 1, dtype=torch.float32).add_(1)
        flat = tensor.flatten()
        part = flat[: len(pattern)].float() @ pattern[: len(flat)]
        found[name] = float(flat.sum(dtype=torch.float64)) + float(part)
    return found


def measure(folder: Path, settings: NativeHyperparameters, config: ModelConfig) -> dict[str, float]:
    """Train two steps, save all, and open the saved model again."""
    torch.set_num_threads(1)
    before = psutil.Process().memory_info().rss
    device = Device(torch.device("cpu"), "cpu", None, mixed_precision=True)
    began = time.perf_counter()
    model = random_model(config)
    set_up_training(model, settings, [0])
    aside = sum(
        value.nbytes for item in by_embodiment(model).values() for value in item.set_aside.values()
    )
    made = time.perf_counter()
    optimizer, sample = make_optimizer(model, settings), one_sample(config)
    losses = []
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        with device.autocast():
            loss = model(sample, torch.zeros_like(sample["action"]), torch.tensor([0.5]))
            loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    trained = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    weights = {name: value.detach() for name, value in trainable(model)}
    state = TrainingState(2, 2, 0.0, {}, weights, optimizer_tensors(model, optimizer))
    save_checkpoint(state, folder, "0" * 12, 1)
    optimizer.zero_grad(set_to_none=True)
    del state, weights, optimizer, loss
    finish_training(model, settings)
    saved = folder / "model"
    save_model(model, saved)
    written, expected = time.perf_counter(), sums(model)
    del model
    again = empty_model(config)
    load_weights(again, stored_weights(saved, config.layers), "cpu", str(saved))
    found = sums(again)
    size = sum(file.stat().st_size for file in (folder / "checkpoints").rglob("*.safetensors"))
    return {
        "parameters": sum(parameter.numel() for parameter in again.parameters()),
        # What is set aside is in the memory that is measured here, and not on a GPU.
        "counted": memory_need(config, settings, batch_size=1).total + aside,
        "peak": peak,
        "first_loss": losses[0],
        "second_loss": losses[1],
        "shards": len(list(saved.glob("*.safetensors"))),
        "largest_shard": max(file.stat().st_size for file in saved.glob("*.safetensors")),
        "checkpoint_bytes": size,
        "unequal": sum(found[name] != value for name, value in expected.items()),
        "seconds_made": made - began,
        "seconds_trained": trained - made,
        "seconds_written": written - trained,
    }


def main(arguments: list[str]) -> None:
    """Measure with the hyperparameters named."""
    values = dict(argument.split("=", 1) for argument in arguments[1:])
    config = {"tiny": TINY, "shallow": shallow(), "full": N1_5_FULL}[values.pop("config", "full")]
    settings = NativeHyperparameters.model_validate(values)
    print(json.dumps(measure(Path(arguments[0]), settings, config)))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
