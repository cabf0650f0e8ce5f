"""The average of the weights: what it is, where it is used, and that it outlasts a stop."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from gr00t_assets.runs.metrics import read_held_out_losses
from gr00t_assets.trainers.native.base_models import choose_device
from gr00t_assets.trainers.native.optimizer import WeightAverage
from gr00t_assets.trainers.native.policy import NativePolicy
from gr00t_assets.trainers.native.training_state import EMA, FILES, checkpoint_model
from gr00t_assets.trainers.policy import Observations
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT
from gr00t_assets_tests.trainers.conftest import SpecMaker, train
from gr00t_assets_tests.trainers.native.test_native_resume import cut_back_to_step_two, losses
from gr00t_assets_tests.trainers.native.test_training_options import held_out

DECODER = "action_head.action_decoder.layer2.W"


def test_it_is_the_exponential_average_from_the_first_weights_on() -> None:
    weights = nn.Parameter(torch.tensor([8.0, 0.0], dtype=torch.bfloat16))
    average = WeightAverage({"w": weights}, decay=0.75)
    for value in (0.0, 4.0):
        with torch.no_grad():
            weights.fill_(value)
        average.update()
    assert average.tensors["w"].dtype == torch.float32
    assert average.tensors["w"].tolist() == [0.75 * 0.75 * 8 + 0.25 * 4, 1.0]
    with average.in_use():
        assert weights.tolist() == [5.5, 1.0]
    assert weights.tolist() == [4.0, 4.0]


def test_a_run_goes_on_to_the_same_average_which_is_its_model(spec_of: SpecMaker) -> None:
    spec = held_out(spec_of(ema_decay=0.6, eval_steps=2, learning_rate=1e-2))
    plain = held_out(spec_of(eval_steps=2, learning_rate=1e-2))
    directory, last = spec.run_directory, DEFAULT_LAYOUT.folder(spec.run_directory, 4)
    assert spec.config_hash != plain.config_hash
    for each in (spec, plain):
        assert train(each).returncode == 0
    assert losses(directory) == losses(plain.run_directory)
    found = read_held_out_losses(directory)
    assert found != read_held_out_losses(plain.run_directory)

    average, weights = load_file(last / EMA), load_file(last / FILES["weights"])
    model = load_file(directory / "model" / "model.safetensors")
    assert average.keys() == weights.keys()
    opened = checkpoint_model(last, spec, choose_device()).model.state_dict()
    assert all(torch.equal(opened[name], value) for name, value in model.items())
    assert not torch.equal(average[DECODER], weights[DECODER])
    without = DEFAULT_LAYOUT.folder(plain.run_directory, 4)
    assert not (without / EMA).exists()
    assert torch.equal(load_file(without / FILES["weights"])[DECODER], weights[DECODER])

    cut_back_to_step_two(directory)
    assert train(spec).returncode == 0
    again = load_file(last / EMA)
    assert all(torch.equal(again[name], value) for name, value in average.items())
    assert read_held_out_losses(directory) == found


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_checkpoint_is_opened_with_its_average(spec_of: SpecMaker, lora_rank: int) -> None:
    """It acts as the final model does, which has the average of the same step."""
    spec = spec_of(ema_decay=0.9, learning_rate=1e-2, lora_rank=lora_rank)
    assert train(spec).returncode == 0
    last = DEFAULT_LAYOUT.folder(spec.run_directory, 4)
    policies = [NativePolicy(last, "cpu", spec), NativePolicy(spec.run_directory / "model", "cpu")]
    (last / EMA).unlink()
    policies.append(NativePolicy(last, "cpu", spec))
    random = np.random.default_rng(0)
    camera = spec.modality_config.video[0]
    frames = random.integers(0, 255, (1, 1, camera.height, camera.width, 3), dtype=np.uint8)
    states = random.standard_normal((1, 1, 64), dtype=np.float32)
    noise = random.standard_normal((1, 1, 16, 32), dtype=np.float32)
    acted = [policy.predict(Observations(frames, states, ["go"]), noise) for policy in policies]
    np.testing.assert_allclose(acted[0], acted[1], atol=1e-5)
    assert np.abs(acted[0] - acted[2]).max() > 1e-4
