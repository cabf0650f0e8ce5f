"""LeRobot's own groot policy opens what was trained here, and answers as the policy here does.

The gated backbone's place in the Hub's cache is taken by a tokenizer of bytes and by the sizes of
the tiny model; LeRobot's code is as it was installed.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gr00t_assets.trainers.n17.architecture import TINY, N17Config, parse_config
from gr00t_assets.trainers.native.base_models import new_model, save_model
from gr00t_assets.trainers.native.prompts import N17_PROMPT, Tokenizer, byte_tokenizer
from gr00t_assets.trainers.policy import Observations, open_policy
from gr00t_assets_tests.trainers.n17.test_processor_files import with_camera

PROGRAM = Path(__file__).parent / "programs" / "lerobot_policy.py"
TASK = "pick-up the PEAR!"

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
    "{% for part in message.content %}{% if part.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
)
"""What Qwen3-VL's template makes of images and a text."""


def two_layers() -> N17Config:
    """The tiny model with a text layer more.

    LeRobot takes features of the last layer before deepstack's are added behind it, which no
    released model has so late.
    """
    raw: dict[str, Any] = TINY.to_json() | {"select_layer": 2}
    raw["qwen3_vl_config"]["text_config"]["num_hidden_layers"] = 2
    return parse_config(raw)


TWO_LAYERS = two_layers()


@pytest.fixture(scope="module")
def lerobot_groot(lerobot_python: Path) -> Path:
    """A Python whose LeRobot has the groot policy of N1.7."""
    imported = "import lerobot.policies.groot.groot_n1_7, transformers, diffusers, torchvision"
    tried = subprocess.run([lerobot_python, "-c", imported], capture_output=True, text=True)
    if tried.returncode:
        reason = tried.stderr.strip().splitlines()[-1]
        pytest.skip(
            f"{lerobot_python} has no groot policy of N1.7: {reason}; install lerobot[groot]"
        )
    return lerobot_python


def write_backbone(cache: Path, tokenizer: Tokenizer) -> None:
    """The files of the gated backbone that LeRobot reads, of the tiny model."""
    repository = cache / "hub" / "models--nvidia--Cosmos-Reason2-2B"
    folder = repository / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    tokenizer.save(folder)
    vision = TINY.qwen3_vl_config.vision_config
    images = {
        "patch_size": vision.patch_size,
        "merge_size": vision.spatial_merge_size,
        "temporal_patch_size": vision.temporal_patch_size,
        "size": {"shortest_edge": TINY.min_pixels, "longest_edge": 1 << 24},
        **{"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_convert_rgb": True},
    }
    special = {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    for name, content in {
        "config.json": {"model_type": "qwen3_vl"},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": TEMPLATE,
            **special,
        },
        "preprocessor_config.json": {"image_processor_type": "Qwen2VLImageProcessor", **images},
        "video_preprocessor_config.json": {
            "video_processor_type": "Qwen3VLVideoProcessor",
            **images,
        },
    }.items():
        (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize("case", ["relative", "absolute"])
def test_its_policy_opens_a_model_and_acts_alike(
    case: str, lerobot_groot: Path, tmp_path: Path
) -> None:
    config, tokenizer = with_camera(case), byte_tokenizer(N17_PROMPT)
    model = tmp_path / "model"
    torch.manual_seed(3)
    save_model(new_model(TWO_LAYERS), model, tokenizer, [config])
    write_backbone(tmp_path / "cache", tokenizer)
    towers = TWO_LAYERS.qwen3_vl_config.model_dump(mode="json", exclude={"tokenizer"})
    (tmp_path / TINY.model_name).mkdir()
    content = {"model_type": "qwen3_vl", "tie_word_embeddings": True, **towers}
    (tmp_path / TINY.model_name / "config.json").write_text(json.dumps(content))

    policy = open_policy(model, "cpu")
    observation = policy.example_observation() | {"task": TASK}
    state = np.concatenate([observation[f"state.{key.key}"] for key in config.state])
    image = np.random.default_rng(1).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    given, answer = tmp_path / "given.npz", tmp_path / "answer.npz"
    numbers = np.zeros(config.action_dim)
    np.savez(given, image=image, state=state.astype(np.float32), task=TASK, numbers=numbers)
    variables = {
        "HF_HOME": str(tmp_path / "cache"),
        **{"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    }
    outcome = subprocess.run(
        [lerobot_groot, PROGRAM, model, given, answer],
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stderr
    theirs = np.load(answer)
    assert theirs["embodiment"].tolist() == [10]

    torch.manual_seed(0)
    noise = torch.randn(1, TINY.action_horizon, TINY.max_action_dim).numpy()
    read = policy._reader.read(observation | {"video.ego_view": image})
    np.testing.assert_allclose(theirs["state"], read.states[None], atol=1e-6)
    anchors = {name: value[None] for name, value in read.anchors.items()} or None
    seen = Observations(read.frames[None], read.states[None], [TASK], anchors)
    ours = policy.in_units(policy.predict(seen, noise[None])[0], anchors)
    flat = np.concatenate([ours[key.key] for key in config.action], axis=-1)
    np.testing.assert_allclose(theirs["actions"], flat, atol=1e-5)
