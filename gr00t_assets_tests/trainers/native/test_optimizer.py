import pytest
import torch

from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.optimizer import (
    make_optimizer,
    make_scheduler,
    optimizer_tensors,
    restore_optimizer,
)


def rates(steps: int = 100, **settings: object) -> list[float]:
    values = NativeHyperparameters.model_validate(
        {"max_steps": steps, "learning_rate": 1e-3, "warmup_ratio": 0.1, **settings}
    )
    model = torch.nn.Linear(2, 2)
    optimizer = make_optimizer(model, values)
    scheduler = make_scheduler(optimizer, values)
    found = []
    for _ in range(steps):
        found.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return found


def test_cosine_warms_up_and_falls_to_nothing() -> None:
    found = rates()
    assert found[0] == 0
    assert found[10] == pytest.approx(1e-3)
    assert found[55] == pytest.approx(0.5e-3, rel=1e-6)
    assert found[99] < 1e-6


@pytest.mark.parametrize(
    ("name", "at_half"), [("linear", 0.5e-3), ("constant", 1e-3), ("constant_with_warmup", 1e-3)]
)
def test_other_courses(name: str, at_half: float) -> None:
    assert rates(lr_scheduler_type=name)[55] == pytest.approx(at_half, rel=1e-6)


def test_biases_and_norms_are_not_decayed_and_weights_are() -> None:
    model = load_base_model("tiny").model
    model.set_trainable(False, False, True, True)
    optimizer = make_optimizer(model, NativeHyperparameters(weight_decay=0.5))
    names = {id(value): name for name, value in model.named_parameters()}
    decayed, plain = (
        {names[id(value)] for value in group["params"]} for group in optimizer.param_groups
    )
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert "action_head.action_decoder.layer2.W" in decayed
    assert "action_head.vlln.weight" in plain
    assert any(name.endswith("to_q.bias") for name in plain)
    assert not any("vision_model" in name for name in decayed | plain)


def test_moments_survive_the_trip_through_tensors() -> None:
    def make() -> tuple[torch.nn.Linear, torch.optim.AdamW]:
        model = torch.nn.Linear(3, 2)
        return model, make_optimizer(model, NativeHyperparameters())

    model, optimizer = make()
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    saved = {name: value.clone() for name, value in optimizer_tensors(model, optimizer).items()}
    other, fresh = make()
    restore_optimizer(other, fresh, saved)
    found = optimizer_tensors(other, fresh)
    assert found.keys() == saved.keys() != set()
    assert all(torch.equal(found[name], saved[name]) for name in saved)
