"""Weights by embodiment: a run holds, trains and keeps those of its own embodiments alone."""

from collections.abc import Callable
from dataclasses import replace
from shutil import rmtree

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.native.action_head import EmbodimentLinear, by_embodiment
from gr00t_assets.trainers.native.base_models import choose_device, load_base_model
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.native_run import prepare, run_spec
from gr00t_assets.trainers.native.processes import Processes
from gr00t_assets.trainers.native.training_state import (
    FILES,
    TrainingState,
    checkpoint_model,
    latest_checkpoint,
    save_checkpoint,
    spec_base_model,
)
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT
from gr00t_assets_tests.trainers.conftest import SpecMaker
from gr00t_assets_tests.trainers.native.test_native_resume import cut_back_to_step_two

DECODER = "action_head.action_decoder.layer1"


@pytest.fixture
def layer() -> EmbodimentLinear:
    head = load_base_model("tiny").config.action_head
    layer = EmbodimentLinear(head, 5, 7)
    torch.nn.init.normal_(layer.b)
    return layer


@pytest.mark.parametrize(("kept", "asked"), [([3], [3]), ([2, 9], [9, 2, 9]), ([2, 9], [9])])
def test_a_layer_with_some_rows_computes_what_it_did(
    layer: EmbodimentLinear, kept: list[int], asked: list[int]
) -> None:
    x, embodiment = torch.randn(3, 4, 5), torch.tensor(asked)
    before = layer(x, embodiment)
    layer.keep_rows(kept)
    assert [len(parameter) for parameter in layer.parameters()] == [len(kept)] * 2
    torch.testing.assert_close(layer(x, embodiment), before)


def test_rows_are_put_back_among_those_that_were_set_aside(layer: EmbodimentLinear) -> None:
    before = {name: value.detach().clone() for name, value in layer.named_parameters()}
    layer.keep_rows([2, 9])
    with torch.no_grad():
        layer.W.add_(1)
    layer.put_back()
    changed = (before["W"] != layer.W).flatten(1).all(1).nonzero().flatten()
    assert changed.tolist() == [2, 9]
    torch.testing.assert_close(layer.W[9], before["W"][9] + 1)
    assert torch.equal(layer.b, before["b"])


def test_of_moments_and_their_scales_the_rows_are_kept() -> None:
    layer = EmbodimentLinear(load_base_model("tiny").config.action_head, 32, 64)
    layer.keep_rows([2, 9])
    moments, scales = torch.randn(32, 32, 64), torch.randn(32 * 32 * 64 // 256)
    assert torch.equal(layer.rows_of("W", moments), moments[[2, 9]])
    assert torch.equal(layer.rows_of("W", scales), scales.view(32, 8)[[2, 9]].flatten())
    step = torch.tensor(3.0)
    assert layer.rows_of("W", step) is step


@pytest.mark.parametrize("kept", [[2], [2, 9]])
def test_an_embodiment_that_was_set_aside_is_no_other_one(
    layer: EmbodimentLinear, kept: list[int]
) -> None:
    layer.keep_rows(kept)
    with pytest.raises(IndexError):
        layer(torch.randn(1, 4, 5), torch.tensor([3]))


def test_a_run_changes_no_other_embodiments_weights(spec_of: SpecMaker) -> None:
    spec = spec_of(weight_decay=0.5)
    run_spec(spec)
    (own,) = spec.embodiments
    base = spec_base_model(spec, choose_device()).model.state_dict()
    model = load_file(spec.run_directory / "model" / "model.safetensors")
    assert {name: value.shape for name, value in model.items()} == {
        name: value.shape for name, value in base.items() if value.numel()
    }
    weights = model[f"{DECODER}.W"] != base[f"{DECODER}.W"]
    assert weights.flatten(1).any(1).nonzero().flatten().tolist() == [own]


def test_a_checkpoint_has_the_weights_and_moments_of_its_own_embodiments(
    spec_of: SpecMaker,
) -> None:
    spec = spec_of()
    run_spec(spec)
    folder = DEFAULT_LAYOUT.folder(spec.run_directory, 4)
    for file in FILES.values():
        for name, tensor in load_file(folder / file).items():
            if name.endswith(f"{DECODER}.W") and tensor.shape:
                assert len(tensor) == 1, (file, name)
    opened = checkpoint_model(folder, spec, choose_device()).model.state_dict()
    final = load_file(spec.run_directory / "model" / "model.safetensors")
    assert all(torch.equal(opened[name], value) for name, value in final.items())


def with_all_rows(spec: TrainingSpec, state: TrainingState) -> TrainingState:
    """A state as it was kept before other embodiments' weights were set aside."""
    base = spec_base_model(spec, choose_device()).model
    before = base.state_dict()
    layers = by_embodiment(base)

    def whole(tensors: dict[str, Tensor], fill: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        result = dict(tensors)
        for key, tensor in tensors.items():
            name = key.rpartition("/")[2]
            if name.rpartition(".")[0] in layers and tensor.shape:
                result[key] = fill(before[name])
                result[key][spec.embodiments] = tensor
        return result

    return replace(
        state,
        weights=whole(state.weights, torch.clone),
        optimizer=whole(state.optimizer, torch.zeros_like),
    )


def test_a_checkpoint_with_all_rows_is_gone_on_from(spec_of: SpecMaker) -> None:
    spec = spec_of()
    run_spec(spec)
    directory = spec.run_directory
    expected = read_metrics(directory).losses.tolist()
    cut_back_to_step_two(directory)
    state = latest_checkpoint(directory, spec.config_hash)
    assert state is not None
    rmtree(DEFAULT_LAYOUT.folder(directory, 2))
    save_checkpoint(with_all_rows(spec, state), directory, spec.config_hash, 3)
    folder = DEFAULT_LAYOUT.folder(directory, 2)
    assert len(load_file(folder / FILES["weights"])[f"{DECODER}.W"]) > 1
    checkpoint_model(folder, spec, choose_device())
    run_spec(spec)
    assert read_metrics(directory).losses.tolist() == expected


def test_what_is_trained_is_counted_without_other_embodiments(spec_of: SpecMaker) -> None:
    told: dict[str, object] = {}
    spec = spec_of()
    model = spec_base_model(spec, choose_device()).model
    model.set_trainable(**NativeHyperparameters.of(spec.experiment).tuned_parts)
    layers = by_embodiment(model).values()
    rows = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    others = rows - rows // model.config.action_head.max_num_embodiments
    _, loop = prepare(spec, Processes(), choose_device(), know=lambda **facts: told.update(facts))
    counts = told["trainable_parameters"]
    assert isinstance(counts, dict)
    assert sum(counts.values()) == sum(model.trainable_parameters().values()) - others
    groups = loop.optimizer.param_groups
    updated = sum(parameter.numel() for group in groups for parameter in group["params"])
    assert updated == sum(counts.values())
    assert told["parameters"] == sum(value.numel() for value in model.parameters())
