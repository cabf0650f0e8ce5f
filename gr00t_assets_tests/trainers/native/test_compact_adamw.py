"""AdamW with weights of 16 bits and moments of 8: what it computes, and that runs go on exactly."""

import importlib.util
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn
from torch.distributed.tensor import DTensor

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.trainers.native import compact_adamw
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.optimizer import (
    make_optimizer,
    moment_bytes,
    optimizer_tensors,
    restore_optimizer,
)
from gr00t_assets.trainers.native.training_state import FILES
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT
from gr00t_assets_tests.trainers.conftest import SpecMaker, train
from gr00t_assets_tests.trainers.native.test_native_resume import (
    cut_back_to_step_two,
    losses,
    weights,
)

eight_bits = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes"
)
EIGHT_BITS = {"optimizer": "adamw_8bit"}
SIXTEEN_BITS = {"weights": "bfloat16"}
KINDS = [
    pytest.param(SIXTEEN_BITS, id="bfloat16"),
    pytest.param(EIGHT_BITS, id="8 bits", marks=eight_bits),
    pytest.param(EIGHT_BITS | SIXTEEN_BITS, id="both", marks=eight_bits),
]


def made(**settings: object) -> tuple[nn.Linear, torch.optim.Optimizer]:
    """A layer of 128 x 64, from the same weights each time, and its optimizer."""
    values = NativeHyperparameters.model_validate({"learning_rate": 1e-3, **settings})
    torch.manual_seed(0)
    layer = nn.Linear(64, 128)
    if values.weights == "bfloat16":
        layer.bfloat16()
    return layer, make_optimizer(layer, values)


def trained(layer: nn.Linear, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        inputs, targets = torch.randn(16, 64), torch.randn(16, 128)
        optimizer.zero_grad()
        (layer(inputs.to(layer.weight.dtype)).float() - targets).square().mean().backward()
        optimizer.step()


def test_rounding_is_right_on_average_and_leaves_a_bfloat16_as_it_is() -> None:
    generator = torch.Generator().manual_seed(0)
    step = 2.0**-7
    values = torch.tensor([1 + step / 8, -1 - step / 8, 3.0, 0.0]).repeat(40_000, 1)
    rounded = compact_adamw.stochastically_rounded(values, generator)
    assert set(rounded[:, 0].tolist()) == {1.0, 1 + step}
    mean = rounded.float().mean(0)
    # A standard error of the first two is 0.00165 of a step.
    assert torch.allclose(mean, values[0], atol=0.007 * step)
    assert mean[2:].tolist() == [3.0, 0.0]


def test_updates_below_a_bfloat16_step_are_not_lost() -> None:
    """Weights of 1 that fall by 1e-4 a step, where neighbours are 0.004 apart."""

    def after(optimizer_of: Any) -> torch.Tensor:
        weight = nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
        optimizer = optimizer_of([{"params": [weight], "lr": 1e-4, "weight_decay": 0.0}])
        for _ in range(100):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        return weight.detach().float()

    assert after(torch.optim.AdamW).eq(1).all()
    found = after(lambda groups: compact_adamw.CompactAdamW(groups, 0, False))
    assert found.mean() == pytest.approx(0.99, abs=2e-4)


@eight_bits
def test_moments_of_8_bits_are_those_of_bitsandbytes() -> None:
    from bitsandbytes.optim.adamw import AdamW8bit  # pyright: ignore[reportMissingImports]

    layer, ours = made(**EIGHT_BITS)
    other, full = made()
    theirs_layer, _ = made()
    theirs = AdamW8bit(theirs_layer.parameters(), lr=1e-3, betas=(0.95, 0.999), weight_decay=1e-5)
    start = layer.weight.detach().clone()
    for each, optimizer in ((layer, ours), (other, full), (theirs_layer, theirs)):
        trained(each, optimizer, range(20))
    moved = (layer.weight - start).norm()
    assert (layer.weight - theirs_layer.weight).norm() < 0.02 * moved
    assert 0 < (layer.weight - other.weight).norm() < 0.1 * moved
    state = ours.state[layer.weight]
    assert state["exp_avg"].dtype == state["exp_avg_sq"].dtype == torch.uint8
    assert ours.state[layer.bias]["exp_avg"].dtype == torch.float32


@pytest.mark.parametrize("settings", KINDS)
def test_what_is_kept_is_all_that_is_needed(settings: dict[str, str]) -> None:
    layer, optimizer = made(**settings)
    trained(layer, optimizer, range(3))
    kept = {name: value.clone() for name, value in optimizer_tensors(layer, optimizer).items()}
    values = NativeHyperparameters.model_validate(settings)
    counted = sum(moment_bytes(parameter, values) for parameter in layer.parameters())
    assert counted == sum(v.nbytes for name, v in kept.items() if not name.startswith("step/"))
    other, fresh = made(**settings)
    other.load_state_dict(layer.state_dict())
    restore_optimizer(other, fresh, kept)
    for each, its_optimizer in ((layer, optimizer), (other, fresh)):
        trained(each, its_optimizer, range(3, 6))
    assert torch.equal(layer.weight, other.weight)


@pytest.mark.parametrize("settings", KINDS)
def test_a_run_goes_on_to_the_last_digit(spec_of: SpecMaker, settings: dict[str, str]) -> None:
    spec = spec_of(**settings)
    directory = spec.run_directory
    finished = train(spec)
    assert finished.returncode == 0, finished.stderr
    unbroken, final = losses(directory), weights(directory)
    checkpoint = DEFAULT_LAYOUT.folder(directory, 4)
    moments = load_file(checkpoint / FILES["optimizer"])
    stored = load_file(checkpoint / FILES["weights"])
    if settings.get("weights"):
        assert {value.dtype for value in stored.values()} == {torch.bfloat16}
        name = "action_head.action_decoder.layer2.W"
        assert load_file(directory / MODEL / "model.safetensors")[name].dtype == torch.bfloat16
    kinds = {value.dtype for name, value in moments.items() if name.startswith("exp_avg/")}
    small = {torch.float32}
    assert kinds == (small | {torch.uint8} if settings.get("optimizer") else small)
    cut_back_to_step_two(directory)
    again = train(spec)
    assert "resuming from step 2 of 4" in again.stdout
    assert losses(directory) == unbroken
    assert weights(directory) == final


def test_losses_in_16_bits_are_near_those_in_32(spec_of: SpecMaker) -> None:
    runs = [spec_of(max_steps=6), spec_of(max_steps=6, **SIXTEEN_BITS)]
    for spec in runs:
        assert train(spec).returncode == 0
    full, half = (losses(spec.run_directory) for spec in runs)
    assert full != half
    assert half == pytest.approx(full, rel=0.05)


def test_without_bitsandbytes_it_is_refused_before_training(
    spec_of: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    spec = spec_of(**EIGHT_BITS)
    failed = train(spec)
    assert failed.returncode == 1
    assert ".venv/bin/pip install -c constraints.txt -e '.[eight-bit]'" in failed.stderr
    assert not (spec.run_directory / "metrics.jsonl").exists()


@pytest.fixture
def sharded(tmp_path: Any) -> Any:
    """A layer whose weights are sharded over the one process that this is."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    method = f"file://{tmp_path / 'store'}"
    dist.init_process_group("gloo", init_method=method, rank=0, world_size=1)
    mesh = init_device_mesh("cpu", (1,))
    torch.manual_seed(0)
    layer = nn.Linear(64, 128).bfloat16()
    yield fully_shard(layer, mesh=mesh)
    dist.destroy_process_group()


def test_sharded_weights_of_16_bits_are_trained_alike(sharded: nn.Linear) -> None:
    settings = NativeHyperparameters(learning_rate=1e-3, weights="bfloat16")
    trained(sharded, make_optimizer(sharded, settings), range(3))
    layer, optimizer = made(**SIXTEEN_BITS)
    trained(layer, optimizer, range(3))
    assert isinstance(sharded.weight, DTensor)
    assert torch.equal(sharded.weight.full_tensor(), layer.weight)


@eight_bits
def test_sharded_weights_do_not_get_moments_of_8_bits(sharded: nn.Linear) -> None:
    with pytest.raises(TrainingError) as raised:
        make_optimizer(sharded, NativeHyperparameters(optimizer="adamw_8bit"))
    assert "does not take sharded weights" in raised.value.explain()
