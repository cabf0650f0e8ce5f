"""The estimate of a GPU's memory: its published points, its counts, and what it proposes."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.trainers.attempt import StopRequest
from gr00t_assets.trainers.failures import gpu_memory
from gr00t_assets.trainers.failures.gpu_memory import (
    GIB,
    estimate,
    is_full_size,
    largest_batch,
    out_of_memory,
    smaller_batch,
    trained_parameters,
)
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.reporter import Reporter
from gr00t_assets_tests.defs.specs import a_spec

CARD = 79.15 * GIB


def settings(**values: object) -> IsaacHyperparameters:
    return IsaacHyperparameters.model_validate(values)


@pytest.mark.parametrize(("batch_size", "published"), [(1, 25), (32, 56), (128, 74)])
def test_the_default_setting_is_as_published(batch_size: int, published: int) -> None:
    assert estimate(settings(batch_size=batch_size)) == published * GIB


def test_the_counts_of_parameters_are_those_of_the_model() -> None:
    import torch

    from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
    from gr00t_assets_tests.trainers.n15_release import N1_5_FULL

    with torch.device("meta"):
        model = Gr00tN15(N1_5_FULL)
    model.set_trainable(True, True, True, True)
    assert model.trainable_parameters() == {
        "llm": gpu_memory.LLM,
        "visual": gpu_memory.VISUAL,
        "projector": gpu_memory.PROJECTOR,
        "diffusion_model": gpu_memory.DIFFUSION_MODEL,
        "other": gpu_memory.OTHER,
    }
    vision, text = N1_5_FULL.towers.vision_config, N1_5_FULL.towers.text_config
    assert N1_5_FULL.tokens_per_image == gpu_memory.IMAGE_TOKENS
    assert (
        34 * gpu_memory.IMAGE_TOKENS * vision.hidden_size * vision.num_hidden_layers
    ) == gpu_memory._VISUAL_ACTIVATIONS
    assert (
        34 * text.hidden_size * N1_5_FULL.backbone.select_layer
    ) == gpu_memory._TEXT_ACTIVATIONS_PER_TOKEN


def test_a_trained_tower_takes_its_parameters_and_activations() -> None:
    more = estimate(settings(tune_llm=True)) - estimate(settings())
    assert more > 12 * gpu_memory.LLM
    assert estimate(settings(tune_visual=True), cameras=2) > estimate(settings(tune_visual=True))
    assert estimate(settings(), cameras=2) == estimate(settings())
    assert estimate(settings(tune_diffusion_model=False)) < estimate(settings())
    assert estimate(settings(num_gpus=2)) - estimate(settings()) == 4 * trained_parameters(
        settings()
    )
    assert estimate(settings(lora_rank=16)) < estimate(settings())


@given(st.integers(1, 256), st.integers(1, 8), st.floats(8 * GIB, 200 * GIB), st.booleans())
def test_what_is_proposed_fits_and_keeps_the_samples(
    batch_size: int, accumulation: int, total: float, tune_llm: bool
) -> None:
    asked = settings(
        batch_size=batch_size, gradient_accumulation_steps=accumulation, tune_llm=tune_llm
    )
    most = largest_batch(asked, total, partial(estimate, asked, 1))
    if most:
        assert estimate(asked, batch_size=most) < total
    if most < batch_size:
        assert estimate(asked, batch_size=most + 1) > total * (1 - gpu_memory.HEADROOM)
    proposed = smaller_batch(asked, most)
    if proposed is not None:
        assert proposed[0] < batch_size and proposed[0] <= most
        assert proposed[0] * proposed[1] == batch_size * accumulation
    else:
        assert most == 0 or batch_size == 1


def test_a_full_device_is_told_what_fits() -> None:
    spec = a_spec(Path("/store"), base_model="nvidia/GR00T-N1.5-3B")
    message = "Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 39.39 GiB of which 1 GiB"
    explanation = out_of_memory(message, spec)
    assert explanation.problem == "the GPU's memory does not hold batch_size 32."
    assert explanation.details[1:] == (
        "estimate: batch_size 32 needs about 56 GiB of the 39 GiB that the device has",
        "batch_size 8 with gradient_accumulation_steps 4 keeps 32 samples a step and needs about "
        "32 GiB of the 39 GiB that the device has",
        "the estimates are from figures published for an 80 GB card, not measured here",
    )


def test_a_device_that_holds_no_batch_is_told_so() -> None:
    spec = a_spec(Path("/store"), base_model="nvidia/GR00T-N1.5-3B")
    explanation = out_of_memory("GPU 0 has a total capacity of 15.77 GiB of which 1 GiB", spec)
    assert any(
        line.startswith("no batch_size fits: train fewer parts") for line in explanation.details
    )


def test_who_else_holds_memory_is_named() -> None:
    spec = a_spec(Path("/store"), base_model="nvidia/GR00T-N1.5-3B")
    explanation = out_of_memory(
        "GPU 0 has a total capacity of 79.15 GiB of which 1.06 GiB is free. Process 76883 has "
        "53.16 GiB memory in use. Process 2 has 1.00 GiB memory in use.",
        spec,
    )
    assert "process 76883 53.16 GiB, process 2 1.00 GiB" in explanation.details[0]


def test_a_tiny_model_gets_no_estimate(tmp_path: Path) -> None:
    explanation = out_of_memory("GPU 0 has a total capacity of 8.00 GiB", a_spec(Path("/store")))
    assert explanation.details == (
        "batch_size 16 with gradient_accumulation_steps 2 keeps 32 samples a step",
    )
    (tmp_path / "model.safetensors").write_bytes(b"small")
    assert not is_full_size(str(tmp_path))
    assert is_full_size("nvidia/GR00T-N1.5-3B")


def test_n17_gets_no_estimate_of_n15() -> None:
    spec = a_spec(Path("/store"), base_model="nvidia/GR00T-N1.7-3B", trainer="isaac-gr00t")
    config = spec.modality_config.model_copy(update={"generation": "n1.7"})
    of_n17 = spec.model_copy(update={"modality_config": config})
    details = out_of_memory("GPU 0 has a total capacity of 79.15 GiB", of_n17).details
    assert details == ("batch_size 16 with gradient_accumulation_steps 2 keeps 32 samples a step",)


def test_the_native_trainer_counts_instead(tmp_path: Path) -> None:
    import torch

    from gr00t_assets.trainers.native.native_run import NativeRun
    from gr00t_assets.trainers.native.processes import Processes

    message = "CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has a total capacity of 39.39 GiB"

    class FullDevice(NativeRun):
        """A device with too little memory, which this machine need not have."""

        def _train(self, stop: StopRequest) -> Manifest:
            raise torch.OutOfMemoryError(message)

    spec = a_spec(tmp_path, base_model="nvidia/GR00T-N1.5-3B")
    spec.run_directory.mkdir(parents=True)
    with pytest.raises(TrainingError) as raised:
        FullDevice(spec, Processes(), cast(Reporter, None)).train(StopRequest())
    assert raised.value.problem == out_of_memory(message, spec).problem
    assert raised.value.details[-1].startswith("the estimates are counted from the model's")
    assert "needs about 20 GiB of the 39 GiB that the device has" in raised.value.details[1]


def test_it_needs_no_torch() -> None:
    code = "import sys, gr00t_assets.trainers.failures.explain; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
