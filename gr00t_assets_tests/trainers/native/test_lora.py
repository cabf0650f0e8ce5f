"""LoRA of the native trainer: what is trained, what is kept, and what the final model is."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.trainers.native.base_models import choose_device, load_base_model
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.data_order import draw_flow
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.optimizer import ADAPTER, add_lora, merge_lora
from gr00t_assets.trainers.native.training_state import checkpoint_model
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT
from gr00t_assets_tests.trainers.conftest import SpecMaker, train
from gr00t_assets_tests.trainers.native.test_native_resume import (
    cut_back_to_step_two,
    losses,
    weights,
)

CPU = torch.device("cpu")


def settings(**values: object) -> NativeHyperparameters:
    return NativeHyperparameters.model_validate({"lora_rank": 4, "lora_dropout": 0.0, **values})


def trained_names(**values: object) -> set[str]:
    model = load_base_model("tiny", seed=0).model
    add_lora(model, settings(**values))
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_only_the_adapters_of_the_named_layers_are_trained() -> None:
    names = trained_names()
    assert names
    assert all(".lora_" in name and name.startswith("action_head.") for name in names)
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in names} == {"to_q", "to_k", "to_v"}
    whole = trained_names(lora_full_model=True, lora_target_modules="q_proj up_proj fc1 net.2")
    ends = {name.split(".lora_")[0].rsplit(".", 1)[1] for name in whole}
    assert ends == {"q_proj", "up_proj", "fc1", "2"}
    assert not any(".head." in name for name in whole), "the pooling head is never asked"


@pytest.mark.parametrize(
    ("targets", "text"),
    [("to_q too_k", "no layer's name ends in too_k"), ("q_proj", "lora_full_model: true adapts")],
)
def test_names_that_match_nothing_are_refused_with_those_there_are(targets: str, text: str) -> None:
    with pytest.raises(TrainingError, match="to_k, to_q, to_v") as caught:
        trained_names(lora_target_modules=targets)
    assert text in str(caught.value)


def test_it_starts_as_the_base_model_and_merges_to_what_it_was(spec_of: SpecMaker) -> None:
    spec = spec_of()
    base = load_base_model("tiny", seed=0)
    batch = BatchSource(spec, base, CPU).batch(range(4))
    flow = draw_flow(base.config.action_head, 0, 0, 4)
    model, asked = base.model, settings(lora_full_model=True)
    before = float(model(batch, *flow).detach())
    names = list(model.state_dict())
    torch.manual_seed(0)
    add_lora(model, asked)
    assert float(model(batch, *flow).detach()) == pytest.approx(before, rel=1e-5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    adapted = float(model(batch, *flow).detach())
    assert adapted != pytest.approx(before, rel=1e-3)
    merge_lora(model, asked)
    assert list(model.state_dict()) == names
    assert float(model(batch, *flow).detach()) == pytest.approx(adapted, rel=1e-4)


def test_a_run_resumes_exactly_and_leaves_a_merged_model_and_its_adapter(
    spec_of: SpecMaker,
) -> None:
    spec = spec_of(lora_rank=4, learning_rate=1e-2)
    directory = spec.run_directory
    assert train(spec).returncode == 0
    unbroken, final = losses(directory), weights(directory)
    cut_back_to_step_two(directory)
    assert train(spec).returncode == 0
    assert losses(directory) == unbroken
    assert weights(directory) == final

    manifest = load_manifest(directory)
    assert manifest is not None
    assert 0 < sum(manifest.trainable_parameters.values()) < 0.1 * manifest.parameters
    own = load_file(directory / "model" / "model.safetensors")
    base = load_base_model("tiny", seed=spec.experiment.hyperparameters.seed).model
    changed = {name for name, value in base.state_dict().items() if not own[name].equal(value)}
    assert changed
    assert all(name.rsplit(".", 2)[1] in ("to_q", "to_k", "to_v") for name in changed)

    checkpoint = DEFAULT_LAYOUT.folder(directory, 4)
    at_the_end = checkpoint_model(checkpoint, spec, choose_device("cpu")).model.state_dict()
    assert all(at_the_end[name].equal(value) for name, value in own.items())


def test_the_adapter_opens_in_peft(spec_of: SpecMaker) -> None:
    spec = spec_of(lora_rank=4, learning_rate=1e-2)
    assert train(spec).returncode == 0
    folder = spec.run_directory / "model" / ADAPTER
    config = LoraConfig(**_known(folder))
    base = load_base_model("tiny", seed=spec.experiment.hyperparameters.seed).model
    adapted = inject_adapter_in_model(config, copy.deepcopy(base))
    set_peft_model_state_dict(adapted, load_file(folder / "adapter_model.safetensors"))
    final = load_base_model(str(spec.run_directory / "model")).model
    batch = BatchSource(spec, load_base_model("tiny", seed=0), CPU).batch(range(4))
    flow = draw_flow(base.config.action_head, 0, 0, 4)
    with torch.no_grad():
        expected = float(final.eval()(batch, *flow))
        assert float(adapted.eval()(batch, *flow)) == pytest.approx(expected, rel=1e-5)
        assert float(base.eval()(batch, *flow)) != pytest.approx(expected, rel=1e-5)


def _known(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "adapter_config.json").read_text())
    return {name: content[name] for name in ("r", "lora_alpha", "lora_dropout", "target_modules")}
