"""A checkpoint of either trainer opens in the other program and gives the same actions."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import TOKENIZER_FILES
from gr00t_assets.trainers.native.base_models import BaseModel, load_base_model
from gr00t_assets.trainers.native.batches import observation_tensors
from gr00t_assets.trainers.native.policy import NativePolicy
from gr00t_assets.trainers.policy import Observations
from gr00t_assets_tests.trainers.conftest import SpecMaker, train
from gr00t_assets_tests.trainers.isaac_gr00t.real.conftest import Isaac

LM_HEAD = "backbone.eagle_model.language_model.lm_head.weight"
FUTURE_TOKENS = "action_head.future_tokens.weight"
TOLERANCE = 1e-4
GR1 = 24


def observation(base: BaseModel) -> dict[str, torch.Tensor]:
    """Three samples of noise with one text, so that no prompt is padded."""
    generator = np.random.default_rng(0)
    size = base.config.image_size
    images = generator.integers(0, 256, (3, 1, size, size, 3), dtype=np.uint8)
    states = generator.normal(size=(3, 1, base.config.action_head.max_state_dim))
    return observation_tensors(
        base, images, states.astype(np.float32), ["pick the pear up"] * 3, GR1
    )


def noise(base: BaseModel) -> torch.Tensor:
    """What denoising starts from."""
    head = base.config.action_head
    shape = (3, head.action_horizon, head.action_dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def actions_of_both(
    isaac: Isaac, model: Path, eagle: Path, folder: Path
) -> tuple[torch.Tensor, torch.Tensor, dict[str, list[str]]]:
    """Ours, NVIDIA's, and what NVIDIA's ``from_pretrained`` missed or did not expect."""
    base = load_base_model(str(model))
    batch, start = observation(base), noise(base)
    network = base.model.eval()
    with torch.no_grad():
        features = network.backbone_features(batch)
        ours = network.action_head.get_action(*features, batch, start)
    inputs = {name: value.contiguous() for name, value in batch.items()}
    save_file({**inputs, "noise": start}, folder / "inputs.safetensors")
    missed = isaac.program(
        "actions", model, folder / "inputs.safetensors", folder / "out.safetensors", eagle=eagle
    )
    return ours, load_file(folder / "out.safetensors")["actions"], missed


def largest(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max())


@pytest.fixture
def native_run(isaac: Isaac, tiny_base: Path, spec_of: SpecMaker, tmp_path: Path) -> TrainingSpec:
    """Trained by the native trainer, from a base that the checkout can hold."""
    base = tiny_base
    if isaac.drops_future_tokens:
        base = shutil.copytree(tiny_base, tmp_path / "base")
        weights = load_file(base / "model.safetensors")
        del weights[FUTURE_TOKENS]
        save_file(weights, base / "model.safetensors")
    spec = spec_of(str(base), tune_visual=True)
    assert train(spec).returncode == 0
    return spec


def test_native_checkpoint_opens_in_isaac_gr00t(
    isaac: Isaac, native_run: TrainingSpec, tiny_base: Path, exact_eagle: Path, tmp_path: Path
) -> None:
    model = native_run.run_directory / "model"
    trained = load_file(model / "model.safetensors")
    before = load_file(tiny_base / "model.safetensors")
    assert sum(not torch.equal(tensor, before[name]) for name, tensor in trained.items()) > 20

    ours, theirs, missed = actions_of_both(isaac, model, exact_eagle, tmp_path)
    # Nothing that is computed depends on lm_head.
    assert missed == {"missing": [LM_HEAD], "unexpected": []}
    assert largest(ours, theirs) < TOLERANCE


def test_june_release_says_that_it_drops_future_tokens(
    isaac: Isaac, tiny_base: Path, exact_eagle: Path, tmp_path: Path
) -> None:
    ours, theirs, missed = actions_of_both(isaac, tiny_base, exact_eagle, tmp_path)
    if isaac.drops_future_tokens:
        assert missed["unexpected"] == [FUTURE_TOKENS]
        assert largest(ours, theirs) > TOLERANCE
    else:
        assert missed["unexpected"] == []
        assert largest(ours, theirs) < TOLERANCE


def test_policies_give_the_same_actions_in_the_datas_units(
    isaac: Isaac, native_run: TrainingSpec, exact_eagle: Path, tmp_path: Path
) -> None:
    spec, row = native_run, 7
    config = spec.modality_config
    dataset = LeRobotDataset.open(spec.datasets[0].directory, config.dataset)
    data = Demonstrations(dataset, FrameCache.open(spec.datasets[0].frame_cache), config)
    policy = NativePolicy(spec.run_directory / "model")
    frames, states = data.frames(np.array([row])), data.states(np.array([row]))
    texts = data.texts(np.array([row]))
    head = policy.base.config.action_head
    start = torch.randn(
        1, head.action_horizon, head.action_dim, generator=torch.Generator().manual_seed(5)
    )
    observations = Observations(frames, states, texts)
    ours = policy.in_units(policy.predict(observations, start.numpy()[None])[0])

    columns = dataset.vectors(0, sorted({key.original_key for key in config.state}))
    observation = {
        **{f"video.{camera.key}": frames[:, i] for i, camera in enumerate(config.video)},
        **{
            f"state.{key.key}": columns[key.original_key][row : row + 1, key.start : key.end]
            for key in config.state
        },
        # No list: ``Gr00tPolicy`` of October 2025 would put its brackets into the prompt.
        str(config.language): np.array(texts[0]),
        "noise": start.numpy(),
    }
    np.savez(tmp_path / "observation.npz", allow_pickle=False, **observation)
    isaac.program(
        *("policy", spec.run_directory / "model", config.data_config, config.embodiment_tag),
        *(tmp_path / "observation.npz", tmp_path / "actions.npz"),
        eagle=exact_eagle,
    )
    theirs = np.load(tmp_path / "actions.npz")
    assert {f"action.{key}" for key in ours} == set(theirs)
    for key in config.action:
        # Against the range of the data, which the model's -1 to 1 stands for.
        wide = np.subtract(key.statistics.max, key.statistics.min).clip(1e-6)
        difference = np.abs(ours[key.key][0] - theirs[f"action.{key.key}"]) / wide
        assert difference.max() < 1e-3, key.key


@pytest.fixture(scope="module")
def script_output(
    isaac: Isaac,
    tiny_base: Path,
    tiny_eagle: Path,
    demo_copy: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What NVIDIA's script leaves when it is run as it is, for four steps."""
    output = tmp_path_factory.mktemp("script") / "out"
    isaac.run(
        isaac.script,
        *("--dataset-path", demo_copy, "--output-dir", output, "--base-model-path", tiny_base),
        *("--batch-size", 2, "--max-steps", 4, "--save-steps", 2, "--tune-visual"),
        *("--embodiment-tag", "gr1", "--video-backend", "decord", "--report-to", "tensorboard"),
        *("--dataloader-num-workers", 1),
        eagle=tiny_eagle,
    )
    return output


def test_checkpoint_of_the_script_opens_in_native(
    isaac: Isaac, script_output: Path, exact_eagle: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(script_output / "checkpoint-4", model)
    for name in TOKENIZER_FILES:
        if (isaac.backbone / name).is_file():
            shutil.copyfile(isaac.backbone / name, model / name)

    ours, theirs, missed = actions_of_both(isaac, model, exact_eagle, tmp_path)
    assert missed == {"missing": [], "unexpected": []}
    assert largest(ours, theirs) < TOLERANCE
