import importlib.util
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AttentionInterface

from gr00t_assets.trainers.n15.architecture import TINY
from gr00t_assets.trainers.native.base_models import choose_device, load_base_model
from gr00t_assets.trainers.native.data_order import draw_flow
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets_tests.trainers.n15_release import N1_5_FULL
from gr00t_assets_tests.trainers.native import model_parity
from gr00t_assets_tests.trainers.native.native_batches import random_batch

SHORT, LONG = "go", "pick the sweet potato from the counter and place it in the plate"


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def model() -> Any:
    return load_base_model("tiny", seed=0).model


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(1))


def test_equals_nvidias_own_model(parity_model):
    differences = model_parity.measure(parity_model)
    assert differences["features"] <= 1e-5
    assert differences["loss"] <= 1e-5
    assert differences["actions"] <= 1e-5
    assert differences.get("grad_norm", 0) <= 1e-4
    assert len(differences["gradients"]) in (3, 8)
    assert max(differences["gradients"].values()) <= 1e-6


def test_parity_command_tells_by_its_exit_status(parity_model, tmp_path):
    command = [sys.executable, "-m", "gr00t_assets_tests.trainers.native.model_parity"]
    good = subprocess.run([*command, str(parity_model)], capture_output=True, text=True)
    assert good.returncode == 0, good.stderr
    assert '"gradients"' in good.stdout

    for name in ("config.json", "model.safetensors", "vectors.safetensors"):
        (tmp_path / name).write_bytes((parity_model / name).read_bytes())
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(
        config.replace('"rope_theta": 1000000', '"rope_theta": 9')
    )
    bad = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    assert bad.returncode == 1, bad.stderr

    missing = subprocess.run([*command, str(tmp_path / "none")], capture_output=True, text=True)
    assert missing.returncode == 2
    assert "vectors.safetensors is missing" in missing.stderr


def test_the_real_model_has_2414_million_parameters():
    with torch.device("meta"):
        model = Gr00tN15(N1_5_FULL)

    def millions(module: torch.nn.Module) -> float:
        return sum(parameter.numel() for parameter in module.parameters()) / 1e6

    assert millions(model) == pytest.approx(2414, rel=0.01)
    assert millions(model.backbone) == pytest.approx(1345, rel=0.01)
    assert millions(model.action_head) == pytest.approx(1069, rel=0.01)


def _first_only(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    kept = {key: value[:1] for key, value in batch.items()}
    real = batch["attention_mask"][0].bool()
    return kept | {key: batch[key][:1, real] for key in ("input_ids", "attention_mask")}


def test_a_sample_does_not_depend_on_its_neighbours(model, noise):
    model.eval()
    both = random_batch(TINY, [SHORT, LONG])
    padding = int((both["attention_mask"][0] == 0).sum())
    assert padding > 30 and both["attention_mask"][0, 0] == 0
    alone = _first_only(both)
    both["action_mask"][1] = False
    t = torch.tensor([0.3, 0.6])

    features, _ = model.backbone_features(both)
    torch.testing.assert_close(
        features[:1, padding:], model.backbone_features(alone)[0], atol=1e-5, rtol=0
    )
    loss_alone = model(alone, noise[:1], t[:1])
    torch.testing.assert_close(model(both, noise, t), loss_alone, atol=1e-5, rtol=0)
    first, only = actions_of(model, both, noise)[:1], actions_of(model, alone, noise[:1])
    torch.testing.assert_close(first, only, atol=1e-5, rtol=0)

    unmasked = both | {"attention_mask": torch.ones_like(both["attention_mask"])}
    assert abs((model(unmasked, noise, t) - loss_alone).item()) > 1e-4


TIMES = torch.tensor([0.2, 0.7])


def test_gradients_of_padded_prompts_are_finite(model, noise):
    model(random_batch(TINY, [SHORT, LONG]), noise, TIMES).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(gradients) > 50
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


FLAGS = ["llm", "visual", "projector", "diffusion_model"]


@pytest.mark.parametrize("frozen", [*([flag] for flag in FLAGS), ["llm", "visual"], FLAGS])
def test_frozen_parts_get_no_gradient_and_stay_in_evaluation_mode(model, noise, frozen):
    model.set_trainable(**{f"tune_{flag}": flag not in frozen for flag in FLAGS})
    model.train()
    model(random_batch(TINY, [SHORT, LONG]), noise, TIMES).backward()
    counts = model.trainable_parameters()
    for part, modules in model.parts().items():
        parameters = [p for module in modules for p in module.parameters()]
        if part in frozen:
            assert counts[part] == 0
            assert all(p.grad is None for p in parameters)
            assert not any(m.training for module in modules for m in module.modules())
        else:
            assert counts[part] > 0
            assert any(p.grad is not None and bool(p.grad.any()) for p in parameters)
            assert all(module.training for module in modules)
    assert counts["other"] > 0
    assert bool(model.action_head.vlln.weight.grad.any())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert sum(counts.values()) == trained


def test_every_trained_parameter_has_a_gradient(model, noise):
    model(random_batch(TINY, [SHORT, LONG]), noise, TIMES).backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_a_frozen_backbone_records_no_gradients(model):
    batch = random_batch(TINY, [SHORT])
    model.set_trainable(False, False, True, True)
    assert not model.backbone_features(batch)[0].requires_grad
    model.set_trainable(False, True, True, True)
    assert model.backbone_features(batch)[0].requires_grad


def test_only_the_batchs_embodiments_are_trained(model, noise):
    batch = random_batch(TINY, [SHORT, LONG]) | {"embodiment_id": torch.tensor([24, 31])}
    model(batch, noise, TIMES).backward()
    rows = model.action_head.state_encoder.layer1.W.grad.abs().sum((1, 2)).nonzero().flatten()
    assert rows.tolist() == [24, 31]


def test_weights_of_one_embodiment_are_the_same_for_one_row_and_for_each_sample(model, noise):
    results = []
    for ids in ([24], [24, 24]):
        batch = random_batch(TINY, [SHORT, LONG]) | {"embodiment_id": torch.tensor(ids)}
        model.zero_grad()
        loss = model(batch, noise, TIMES)
        loss.backward()
        gradients = [p.grad for p in model.action_head.parameters() if p.grad is not None]
        results.append([loss.detach(), *gradients])
    for of_one, of_each in zip(*results, strict=True):
        torch.testing.assert_close(of_one, of_each, rtol=1e-4, atol=1e-6)


def actions_of(model, batch, noise, steps=None):
    with torch.no_grad():
        features = model.backbone_features(batch)
        return model.action_head.get_action(*features, batch, noise, steps)


def test_actions_come_from_the_noise(model):
    model.eval()
    batch = random_batch(TINY, [SHORT])

    def actions(seed: int, steps: int | None = None) -> torch.Tensor:
        noise = torch.randn((1, 16, 32), generator=torch.Generator().manual_seed(seed))
        return actions_of(model, batch, noise, steps)

    assert actions(0).shape == (1, 16, 32)
    assert torch.equal(actions(0), actions(0))
    assert torch.equal(actions(0), actions(0, 4))
    assert not torch.equal(actions(0), actions(1))
    assert not torch.equal(actions(0), actions(0, 8))


def test_noise_is_normal_and_times_follow_the_beta_distribution():
    noise, times = draw_flow(TINY.action_head, 0, 0, 20_000)
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
    assert float(times.max()) <= 1
    # Mean of Beta(1.5, 1) is 0.6.
    assert float(times.mean()) == pytest.approx(1 - 0.6 / 0.999, abs=0.01)


def test_masked_entries_do_not_count(model, noise):
    model.eval()
    batch, t = random_batch(TINY, [SHORT, LONG]), torch.tensor([0.2, 0.7])
    loss = model(batch, noise, t)
    # Only the target of the masked entries changes, as the noisy action stays what it was.
    shift = torch.where(batch["action_mask"], 0.0, 5.0)
    weight = t[:, None, None]
    other = batch | {"action": batch["action"] + shift}
    moved_noise = noise - shift * weight / (1 - weight)
    torch.testing.assert_close(model(other, moved_noise, t), loss, atol=1e-4, rtol=0)


def test_a_bfloat16_backbone_feeds_a_float32_head(noise):
    batch, t = random_batch(TINY, [SHORT, LONG]), torch.tensor([0.2, 0.7])
    exact = load_base_model("tiny", seed=0).model.eval()
    half = load_base_model("tiny", seed=0, dtype=torch.bfloat16).model.eval()
    assert half.backbone_features(batch)[0].dtype == torch.bfloat16
    assert half.backbone.text.rotary_emb.inv_freq.dtype == torch.float32
    loss = half(batch, noise, t)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact(batch, noise, t).item(), rel=0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = exact(batch, noise, t)
    assert mixed.dtype == torch.float32
    assert mixed.item() == pytest.approx(exact(batch, noise, t).item(), rel=0.05)


def test_image_tokens_and_patches_must_be_as_many(model):
    batch = random_batch(TINY, [SHORT, LONG])
    with pytest.raises(ValueError, match="128 image tokens in the prompts, 64 patches"):
        model.backbone_features(batch | {"pixel_values": batch["pixel_values"][:1]})


def test_flash_attention_needs_its_package_and_a_gpu():
    assert choose_device("cpu").attention == "sdpa"
    if importlib.util.find_spec("flash_attn") is None:
        assert choose_device().attention == "sdpa"


def test_file_names_are_nvidias(parity_model: Path):
    theirs = load_file(parity_model / "model.safetensors")
    ours = load_base_model(str(parity_model)).model.state_dict()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def _varlen_attention(module, query, key, value, attention_mask, scaling, **lengths):
    """What flash attention's function for packed prompts does, prompt by prompt."""
    assert attention_mask is None
    starts = lengths["cu_seq_lens_q"]
    assert starts.dtype == torch.int32 and torch.equal(starts, lengths["cu_seq_lens_k"])
    assert int(starts.diff().max()) <= lengths["max_length_q"] == lengths["max_length_k"]
    groups = query.shape[1] // key.shape[1]
    parts = []
    for start, end in pairwise(starts.tolist()):
        q, k, v = (x[:, :, start:end] for x in (query, key, value))
        k, v = (x.repeat_interleave(groups, dim=1) for x in (k, v))
        parts.append(F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling))
    return torch.cat(parts, dim=2).transpose(1, 2), None


def test_prompts_without_their_padding_give_the_same_features():
    """The path of flash attention, which needs a GPU, with another attention in its place."""
    base = load_base_model("tiny", seed=0)
    model: Any = base.model.eval()
    plain = random_batch(TINY, [SHORT, LONG, "pick it"])
    batch = base.model.placed(plain)
    real = plain["attention_mask"].bool()
    with torch.no_grad():
        expected, _ = model.backbone_features(batch)
        backbone = model.backbone
        AttentionInterface.register("varlen_in_a_test", _varlen_attention)
        backbone.text.config._attn_implementation = "varlen_in_a_test"
        backbone.packs = True
        packed, mask = model.backbone_features(batch)
    assert torch.equal(mask, plain["attention_mask"])
    torch.testing.assert_close(packed[real], expected[real], atol=1e-5, rtol=0)
    assert not packed[~real].any()
