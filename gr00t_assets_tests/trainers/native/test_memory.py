"""The count of a GPU's memory: against real passes, by setting, and what is said of it."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import memory as table
from gr00t_assets.core.errors import TrainingError
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.trainers.failures.gpu_memory import GIB
from gr00t_assets.trainers.n15.architecture import TINY
from gr00t_assets.trainers.native import memory, traced_step
from gr00t_assets.trainers.native.base_models import load_base_model, save_model
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.memory import RELEASED, MemoryNeed, memory_need
from gr00t_assets.trainers.native.optimizer import (
    make_optimizer,
    optimizer_tensors,
    set_up_training,
)
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.trainers.n15_release import N1_5_FULL

FULL = "nvidia/GR00T-N1.5-3B"
ALL = {"tune_llm": True, "tune_visual": True}


def settings(**values: object) -> NativeHyperparameters:
    return NativeHyperparameters.model_validate(values)


def need(batch_size: int = 1, cameras: int = 1, **values: Any) -> MemoryNeed:
    return memory_need(TINY, settings(**values), cameras, batch_size)


def real_peak(values: NativeHyperparameters, samples: int) -> tuple[int, int, int]:
    """Bytes of weights, of moments, and of the rest at the peak of one real step of ``tiny``."""
    model = load_base_model("tiny").model
    if not values.tune_llm:
        model.backbone.bfloat16()
    set_up_training(model, values, [0])
    traced_step.norms_in_float32(model)
    model.train()
    weights = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    length = TINY.tokens_per_image + memory.PROMPT_TOKENS
    ids = torch.full((samples, length), TINY.towers.image_token_index)
    ids[:, TINY.tokens_per_image :] = 1
    actions = torch.zeros(samples, 16, 32)
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.zeros(samples, 3, TINY.image_size, TINY.image_size),
        "state": torch.zeros(samples, 1, 64),
        "embodiment_id": torch.zeros(1, dtype=torch.long),
        "action": actions,
        "action_mask": actions.bool(),
    }
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    gc.collect()  # What earlier tests left would be freed meanwhile, and counted.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled, autocast:
        model(batch, actions, actions[:, 0, 0], 1.0).backward()
    recorded: Any = profiled.profiler
    events: list[Any] = recorded.kineto_results.events()
    allocations = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    peak = max(accumulate(size for _, size in allocations))
    optimizer = make_optimizer(model, values)
    optimizer.step()
    kept = optimizer_tensors(model, optimizer).items()
    return weights, sum(v.nbytes for name, v in kept if not name.startswith("step/")), int(peak)


@pytest.mark.parametrize(
    "values",
    [
        {},
        ALL,
        ALL | {"gradient_checkpointing": True},
        {"tune_diffusion_model": False},
        {"lora_rank": 8, "lora_full_model": True},
        {"weights": "bfloat16"},
    ],
    ids=str,
)
def test_it_is_what_a_real_step_takes(values: dict[str, Any]) -> None:
    weights, moments, peak = real_peak(settings(**values), 6)
    counted = need(6, **values)
    assert (counted.weights, counted.moments) == (weights, moments)
    passes = traced_step.step_passes(TINY, settings(**values), 1, memory.PROMPT_TOKENS, False)  # pyright: ignore[reportArgumentType]
    alive = (passes.fixed + 6 * passes.each).max()
    assert alive == pytest.approx(peak, rel=0.06)
    # An update of bfloat16 takes more than the step of a model this small.
    assert counted.step == alive or values.get("weights")


def test_every_batch_size_follows_from_two() -> None:
    passes = traced_step.step_passes(TINY, settings(**ALL), 2, 40, True)  # pyright: ignore[reportArgumentType]
    with torch.device("meta"):
        model = traced_step.new_model(TINY)
    set_up_training(model, settings(**ALL), [0])
    traced_step.norms_in_float32(model)
    model.train()
    batch = traced_step._batch(model, 9, 2, 40, 1)
    with traced_step.FakeTensorMode() as fake:
        model._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))
        found = traced_step._alive(model, fake, batch, True)
    assert (passes.fixed + 9 * passes.each == found).all()


def test_each_setting_counts() -> None:
    plain = need(32)
    trained = plain.moments // 2
    assert need(32, **ALL).total > need(32, tune_llm=True).total > plain.total
    assert need(32, **ALL, gradient_checkpointing=True).step < 0.7 * need(32, **ALL).step
    assert need(32, 2, **ALL).step > 1.3 * need(32, **ALL).step
    assert memory_need(TINY, settings(), batch_size=32, embodiments=2).step > plain.step
    assert need(1, optimizer="adamw_8bit").moments == pytest.approx(plain.moments / 4, rel=0.05)
    assert need(1, weights="bfloat16").weights < plain.weights - 0.4 * trained
    assert need(64, num_gpus=2).step >= need(64).step
    assert need(8, gradient_accumulation_steps=2).step == need(8, num_gpus=2).step
    assert need(8, lora_rank=8).moments < 0.1 * trained
    shared = settings(batch_size=1, num_gpus=4).model_copy(update={"sharding": "fsdp"})
    assert memory_need(TINY, shared).moments == plain.moments // 4
    assert memory_need(TINY, shared).total < need(1, num_gpus=4).total
    longer = memory_need(TINY, settings(tune_llm=True), 1, 8, prompt_tokens=500)
    assert longer.step > need(8, tune_llm=True).step


def test_the_released_model_is_known_without_a_download(tmp_path: Path) -> None:
    assert RELEASED.action_head == N1_5_FULL.action_head
    assert RELEASED.towers == N1_5_FULL.towers
    assert memory.counted_config("someone/unknown") is None
    assert memory.counted_config(str(tmp_path / "none")) is None
    base = load_base_model("tiny")
    save_model(base.model, tmp_path)
    assert memory.counted_config(str(tmp_path)) == TINY


def test_a_plan_asks_the_trainer() -> None:
    native, spec = trainer_named("native"), a_spec(Path("/store"), base_model=FULL)
    counted = native.gpu_memory(spec.experiment)
    assert 16 * GIB < counted < 24 * GIB
    unknown = spec.experiment.model_copy(update={"base_model": "someone/unknown"})
    assert native.gpu_memory(unknown) is None
    wrong = settings(lora_rank=8, lora_target_modules="no_such_layer")
    assert native.gpu_memory(spec.experiment.model_copy(update={"hyperparameters": wrong})) is None
    assert trainer_named("isaac-gr00t").gpu_memory(spec.experiment) is None


def test_tiny_needs_no_torch_for_it() -> None:
    code = (
        "import sys; from gr00t_assets.cli.main import main\n"
        "sys.argv = ['gr00t-assets', 'sweep', 'plan', 'demo']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


@pytest.fixture
def counted() -> Iterator[memory.Callable[[int], MemoryNeed]]:
    yield lambda size: MemoryNeed(4 * GIB, 8 * GIB, size * GIB)


def test_what_cannot_fit_is_refused_with_what_fits(counted) -> None:
    asked = settings(batch_size=32)
    memory.require_memory("x", counted, asked, 44 * GIB)
    memory.require_memory("x", counted, asked, 38 * GIB)
    with pytest.raises(TrainingError) as raised:
        memory.require_memory("x", counted, asked, 24 * GIB)
    text = raised.value.explain()
    assert "batch_size 32 needs about 44 GiB of the 24 GiB that the device has" in text
    assert "batch_size 8 with gradient_accumulation_steps 4 keeps 32 samples a step" in text
    assert "counted from the model's operations" in text


def test_a_peak_far_from_the_count_is_warned_of(counted) -> None:
    near, far = (memory.measured_line(counted(8), round(share * 20 * GIB)) for share in (0.9, 1.2))
    assert near.startswith("GPU memory: 18.0 GiB at most, counted 20.0 GiB (weights 4.0, ")
    assert far.startswith("warning: the count is off by +20%; GPU memory: 24.0 GiB at most")


def test_the_peak_is_taken_in_the_second_step(counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device: 19 * GIB)
    layer, lines = torch.nn.Linear(2, 2), []
    optimizer = make_optimizer(layer, settings())
    memory.compare_after_second_step(optimizer, counted(8), torch.device("cpu"), lines.append)
    said = []
    for _ in range(4):
        optimizer.step()
        said.append(len(lines))
    assert said == [0, 1, 1, 1]


def test_the_table_of_the_docs_is_what_is_computed() -> None:
    page = (Path(__file__).parents[3] / "docs" / "native.md").read_text()
    cells = " | ".join(table._cell({}, size) for size in table.BATCHES)
    assert f"| and diffusion model (default) | plain | {cells} |" in page
    for part in table.PARTS:
        for technique in table.TECHNIQUES:
            assert f"| {part} | {technique} | " in page
