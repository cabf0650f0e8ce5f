"""Options of the native trainer: losses on held-out episodes, and layers computed again."""

from pathlib import Path

import pytest
import torch

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.runs.checkpoint_choice import BestWeights, best_weights
from gr00t_assets.runs.metrics import HELD_OUT_LOSS, read_held_out_losses
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.data_order import draw_flow
from gr00t_assets_tests.trainers.conftest import ENTRY, SpecMaker, train
from gr00t_assets_tests.trainers.native.test_native_resume import cut_back_to_step_two, losses


def held_out(spec: TrainingSpec) -> TrainingSpec:
    """The same experiment on a dataset that keeps its second episode from training."""
    store = Store(Path(spec.store))
    build_modality_config(ENTRY.model_copy(update={"held_out": (1,)}), store)
    return make_spec(spec.experiment, store)


def test_held_out_losses_are_taken_and_a_resumed_run_takes_the_same(spec_of: SpecMaker) -> None:
    spec = held_out(spec_of(eval_steps=2, augmentation="gr00t", learning_rate=1e-2))
    directory = spec.run_directory
    finished = train(spec)
    assert finished.returncode == 0, finished.stderr
    assert "step 2/4  loss on held-out episodes " in finished.stdout
    found = read_held_out_losses(directory)
    assert list(found) == [2, 4]
    assert found[2] != found[4]
    assert not set(found.values()) & set(losses(directory))
    cut_back_to_step_two(directory)
    assert train(spec).returncode == 0
    assert read_held_out_losses(directory) == found

    best = best_weights(directory)
    assert isinstance(best, BestWeights)
    assert best.step == min(found, key=lambda step: found[step])
    assert "by held-out loss" in best.why


def test_training_is_the_same_with_and_without_them(spec_of: SpecMaker) -> None:
    with_them, without = (held_out(spec_of(eval_steps=steps)) for steps in (1, 0))
    assert train(with_them).returncode == 0
    assert train(without).returncode == 0
    assert losses(with_them.run_directory) == losses(without.run_directory)
    assert not (without.run_directory / HELD_OUT_LOSS).exists()


def test_they_do_not_depend_on_the_batch_size(spec_of: SpecMaker) -> None:
    """Runs of a rate that changes nothing."""
    still = {"eval_steps": 2, "max_steps": 2, "learning_rate": 1e-30}
    found = []
    for other in ({"batch_size": 2}, {"batch_size": 5}):
        spec = held_out(spec_of(**still, **other))
        assert train(spec).returncode == 0
        found.append(read_held_out_losses(spec.run_directory)[2])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_they_cannot_be_taken_where_nothing_is_held_out(spec_of: SpecMaker) -> None:
    failed = train(spec_of(eval_steps=2))
    assert failed.returncode == 1
    assert "set held_out of it in data/datasets.yaml, or take eval_steps out" in failed.stderr


@pytest.mark.parametrize("parts", ["projector and diffusion model", "everything"])
def test_layers_computed_again_give_the_same_gradients_and_keep_less(
    spec_of: SpecMaker, parts: str
) -> None:
    base = load_base_model("tiny", seed=0)
    model, everything = base.model, parts == "everything"
    model.set_trainable(everything, everything, True, True)
    batch = BatchSource(spec_of(), base, torch.device("cpu")).batch(range(4))
    flow = draw_flow(base.config.action_head, 0, 0, 4)

    def kept_and_gradients() -> tuple[int, list[torch.Tensor]]:
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        model.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = model(batch, *flow)
        loss.backward()
        return sum(kept.values()), [
            p.grad.clone() for p in model.parameters() if p.grad is not None
        ]

    before, expected = kept_and_gradients()
    model.recompute_activations()
    after, found = kept_and_gradients()
    assert len(found) == len(expected)
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(found, expected, strict=True))
    assert after < 0.8 * before
