"""A step waits for nothing that the device computes, and its numbers come when they are logged."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import StopRequest
from gr00t_assets.trainers.native.base_models import choose_device, load_base_model
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.data_order import draw_flow
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.optimizer import set_up_training
from gr00t_assets.trainers.native.processes import Processes
from gr00t_assets.trainers.native.training_loop import StepLosses, TrainingLoop
from gr00t_assets.trainers.native.training_state import TrainingState
from gr00t_assets.trainers.run_files import complete_checkpoints
from gr00t_assets_tests.trainers.conftest import SpecMaker, train
from gr00t_assets_tests.trainers.native.native_batches import random_batch
from gr00t_assets_tests.trainers.native.test_native_resume import losses

WAITING = ("_local_scalar_dense", "is_nonzero", "item", "nonzero", "masked_select", "equal")
"""Operations of torch that read what a GPU has computed, or need its size."""


class WithoutWaiting(TorchDispatchMode):
    """Notes every operation that would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations += 1
        name = func.name().removeprefix("aten::").partition(".")[0]
        if name in WAITING or name.startswith("_unique"):
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


class PreparedElsewhere(BatchSource):
    """Makes its batches as the thread beside a GPU does: there nothing has to be without waits."""

    def batch(self, draws: range, then: range | None = None) -> dict[str, torch.Tensor]:
        with _disable_current_modes():
            return super().batch(draws, then)


@contextmanager
def loop_of(spec: TrainingSpec, **parts: bool) -> Iterator[TrainingLoop]:
    """A loop whose losses nobody asks for; ``parts`` are those that are trained."""

    def refuse(state: TrainingState) -> None:
        raise AssertionError("a checkpoint of a step that is not logged")

    device, threads = choose_device("cpu"), torch.get_num_threads()
    base = load_base_model("tiny", seed=0)
    settings = NativeHyperparameters.of(spec.experiment)
    set_up_training(base.model, settings.model_copy(update=parts), spec.embodiments)
    source = PreparedElsewhere(spec, base, device.device)
    yield TrainingLoop(base.model, settings, source, device, None, refuse)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("towers", [False, True])
def test_a_step_that_is_not_logged_waits_for_nothing(spec_of: SpecMaker, towers: bool) -> None:
    spec = spec_of(batch_size=4, gradient_accumulation_steps=2, augmentation="gr00t")
    with loop_of(spec, tune_llm=towers, tune_visual=towers) as loop:
        loop.model.train()
        loop.train_step(StopRequest())
        before = [parameter.detach().clone() for parameter in loop._parameters]
        with WithoutWaiting() as mode:
            assert loop.train_step(StopRequest()) is False
        assert mode.waits == []
        assert mode.operations > 500
        assert any(
            not torch.equal(old, new) for old, new in zip(before, loop._parameters, strict=True)
        )
        with WithoutWaiting() as mode:
            bool(torch.ones(1).all())
            torch.ones(3).nonzero()
        assert mode.waits


def test_padded_prompts_are_trained_with_without_waiting() -> None:
    """On the device meta, which has no numbers that could be read."""
    base = load_base_model("tiny", seed=0)
    batch = random_batch(base.config, ["go", "pick the sweet potato and place it in the plate"])
    batch = base.model.placed(batch)
    assert "attention_mask" in batch
    model = base.model.to("meta")
    flow = draw_flow(base.config.action_head, 0, 0, 2)
    loss = model({name: value.to("meta") for name, value in batch.items()}, *flow_on_meta(flow))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def flow_on_meta(flow: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    return [draws.to("meta") for draws in flow]


def test_a_batch_says_whether_anything_is_padded_and_where_images_are() -> None:
    base = load_base_model("tiny", seed=0)
    alike = random_batch(base.config, ["go", "do"])
    plain = base.model.placed(alike)
    assert "attention_mask" not in plain
    assert len(plain["image_places"]) == 2 * base.config.tokens_per_image
    ids = plain["input_ids"].flatten()
    assert (ids[plain["image_places"]] == base.tokenizer.image_id).all()
    flow = draw_flow(base.config.action_head, 0, 0, 2)
    model = base.model.eval()
    torch.testing.assert_close(model(plain, *flow), model(alike, *flow), rtol=1e-6, atol=1e-6)


def test_losses_are_fetched_together_and_the_first_bad_step_is_named() -> None:
    losses = StepLosses(Processes())
    losses.fetch()
    assert losses.last is None
    for step in (1, 2):
        losses.add(step, torch.tensor(step / 2), torch.tensor(3.0 * step), 1e-3)
    assert losses.last is None
    assert losses.taken() == ()
    losses.fetch()
    assert (losses.last, losses.grad_norm) == (1.0, 6.0)
    assert losses.taken() == (0.5, 1.0)
    assert losses.taken() == ()
    for step, norm in ((3, 1.0), (4, float("inf")), (5, float("nan"))):
        losses.add(step, torch.tensor(0.25), torch.tensor(norm), 2e-3)
    with pytest.raises(TrainingError) as raised:
        losses.fetch()
    assert raised.value.subject == "step 4"
    assert "the loss is 0.25, the gradient's norm inf" in str(raised.value.explain())
    assert "2.000e-03" in raised.value.explain()


def test_a_run_that_diverges_between_two_logged_steps_keeps_no_checkpoint_of_it(
    spec_of: SpecMaker,
) -> None:
    spec = spec_of(learning_rate=1e30, lr_scheduler_type="constant", logging_steps=50, max_steps=50)
    failed = train(spec)
    assert failed.returncode == 1
    assert "training has diverged" in failed.stderr
    assert "step 2" in failed.stderr
    assert complete_checkpoints(spec.run_directory) == []


def test_losses_are_the_same_however_seldom_they_are_logged(spec_of: SpecMaker) -> None:
    often, seldom = spec_of(max_steps=5), spec_of(max_steps=5, logging_steps=3, save_steps=5)
    for spec in (often, seldom):
        assert train(spec).returncode == 0
    assert losses(seldom.run_directory) == losses(often.run_directory)
    assert len(losses(often.run_directory)) == 5
