"""Every hyperparameter of Isaac-GR00T's trainer is taken, or there is a reason why not."""

from pathlib import Path

import pytest

from gr00t_assets.experiments.experiment import settings_of_trainer
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets_tests.experiments.test_sweeps import refusal

VALUES = {"dataloader_num_workers": 2, "video_backend": "torchcodec", "frame_source": "video"}
"""Other than the defaults, of those that are not taken."""


@pytest.mark.parametrize("name", IsaacHyperparameters.model_fields)
def test_it_is_taken_dropped_with_a_reason_or_refused_with_it(name: str, tmp_path: Path) -> None:
    theirs = IsaacHyperparameters.model_fields[name]
    if name in NativeHyperparameters.model_fields:
        own = NativeHyperparameters.model_fields[name]
        assert name not in NativeHyperparameters.not_taken
        assert (own.default, own.annotation) == (theirs.default, theirs.annotation)
        return
    reason = NativeHyperparameters.not_taken[name]
    taken, refused = settings_of_trainer("native", {name: VALUES[name]})
    assert taken == {}
    if name in IsaacHyperparameters.dropped_elsewhere:
        assert refused == []
        return
    assert refused == [name]
    message = refusal(
        tmp_path,
        "defaults: {dataset: robot_sim.PickNPlace}\n"
        f"experiments: [{{name: other, hyperparameters: {{{name}: {VALUES[name]}}}}}]\n",
    )
    assert f"the native trainer does not take {name} {VALUES[name]}" in message
    assert reason in message


def test_reasons_are_of_what_is_not_taken() -> None:
    theirs, own = IsaacHyperparameters.model_fields, NativeHyperparameters.model_fields
    assert set(NativeHyperparameters.not_taken) == set(theirs) - set(own)
