"""Compiled layers give the same losses; without a compiler training goes on and says so."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, train, trainer
from gr00t_assets_tests.trainers.native.test_native_resume import losses


def trained_apart(spec: TrainingSpec, **variables: str) -> str:
    """Train in a process of its own, as compiling changes the settings of torch; its output."""
    environ = {**environment(), **variables}
    result = subprocess.run(trainer(spec), env=environ, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.cluster
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU needs g++")
def test_compiled_layers_give_the_same_losses_under_the_same_names(
    spec_of: SpecMaker, tmp_path: Path
) -> None:
    plain, compiled = spec_of(), spec_of(compile=True)
    assert compiled.config_hash != plain.config_hash
    assert train(plain).returncode == 0
    output = trained_apart(compiled, TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "compiled"))
    assert "layers are compiled" in output
    assert losses(compiled.run_directory) == pytest.approx(losses(plain.run_directory), rel=1e-4)
    names = [
        set(load_file(spec.run_directory / "model" / "model.safetensors"))
        for spec in (plain, compiled)
    ]
    assert names[0] == names[1]


def test_without_a_compiler_training_goes_on_and_says_why(
    spec_of: SpecMaker, tmp_path: Path
) -> None:
    plain, uncompiled = spec_of(), spec_of(compile=True)
    assert train(plain).returncode == 0
    nowhere = {"CC": "/nonexistent", "CXX": "/nonexistent"}
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "none")}
    output = trained_apart(uncompiled, **nowhere, **cache)
    assert "not compiled: " in output
    assert "/nonexistent" in output or "compiler" in output.lower()
    assert losses(uncompiled.run_directory) == losses(plain.run_directory)


def test_a_layer_that_failed_to_compile_is_as_it_was() -> None:
    model = load_base_model("tiny", seed=0).model
    names = list(model.state_dict())
    limit = torch._dynamo.config.recompile_limit

    def attempt() -> None:
        compiled = [m for m in model.modules() if m._compiled_call_impl is not None]
        assert len(compiled) >= 6
        assert list(model.state_dict()) == names
        raise RuntimeError("\n  no such thing\nmore")

    try:
        assert model.compile_layers(attempt) == "no such thing"
    finally:
        torch._dynamo.config.recompile_limit = limit
    assert all(module._compiled_call_impl is None for module in model.modules())

    def too_large() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        model.compile_layers(too_large)
    torch._dynamo.config.recompile_limit = limit
