"""Features that are computed once give the losses that features of each draw give."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gr00t_assets.core.project import Store
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.native.base_models import choose_device, load_base_model
from gr00t_assets.trainers.native.batches import BatchSource, in_draw_order
from gr00t_assets.trainers.native.frozen_features import (
    FEATURES,
    CachedFeatures,
    Prompts,
    use_cached_features,
)
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets.trainers.native.processes import Processes
from gr00t_assets_tests.trainers.conftest import SpecMaker, train
from gr00t_assets_tests.trainers.native.native_batches import random_batch
from gr00t_assets_tests.trainers.native.test_native_resume import losses


def kept(spec: TrainingSpec) -> list[Path]:
    return sorted(spec.datasets[0].frame_cache.glob(f"{FEATURES}*"))


def retrained(spec: TrainingSpec) -> tuple[str, list[float]]:
    shutil.rmtree(spec.run_directory, ignore_errors=True)
    torch.manual_seed(0)  # Each run draws LoRA's matrices as the first of a process does.
    result = train(spec)
    assert result.returncode == 0, result.stderr
    return result.stdout, losses(spec.run_directory)


def test_losses_are_the_same_and_features_are_computed_once(spec_of: SpecMaker) -> None:
    computed, cached = (
        spec_of(augmentation="none", frozen_features=how) for how in ("compute", "cache")
    )
    _, expected = retrained(computed)
    assert kept(computed) == []
    output, found = retrained(cached)
    assert found == pytest.approx(expected, rel=1e-6)
    assert output.count("computing features of ") == 1
    (folder,) = kept(cached)
    tokens = np.load(folder / "tokens.npy", mmap_mode="r")
    assert tokens.dtype == np.float32
    again, once_more = retrained(cached)
    assert "computing features" not in again
    assert once_more == found

    with (folder / "tokens.npy").open("r+b") as file:
        file.truncate(1000)
    again, once_more = retrained(cached)
    assert "computing features" in again
    assert once_more == found
    assert kept(cached) == [folder]

    other = spec_of(augmentation="none", frozen_features="cache", seed=3)
    assert "computing features" in retrained(other)[0], "tiny has other weights with another seed"
    assert len(kept(cached)) == 2

    other = spec_of(augmentation="none", frozen_features="cache", weights="bfloat16")
    assert "computing features" in retrained(other)[0], "they are computed in 16 bits"
    assert len(kept(cached)) == 3


def test_the_first_process_alone_deletes_what_was_cut_short(
    spec_of: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several that find it at once the others would fail where it is gone."""
    spec, device = spec_of(augmentation="none", frozen_features="cache"), choose_device("cpu")
    base, lines = load_base_model("tiny", seed=0), []

    def use(processes: Processes) -> None:
        batches = BatchSource(spec, base, device.device)
        use_cached_features(spec.datasets, base, batches, device, processes, lines.append)

    def waits(seconds: float) -> None:
        raise InterruptedError

    use(Processes())
    (folder,) = kept(spec)
    with (folder / "tokens.npy").open("r+b") as file:
        file.truncate(1000)
    monkeypatch.setattr("time.sleep", waits)
    with pytest.raises(InterruptedError):
        use(Processes(rank=1, count=2))
    assert kept(spec) == [folder] and len(lines) == 1
    use(Processes())
    assert kept(spec) == [folder] and len(lines) == 2


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"tune_llm": True}, "tune_llm: true trains the towers"),
        ({"tune_visual": True}, "tune_visual: true trains the towers"),
        ({"lora_rank": 4, "lora_full_model": True}, "lora_full_model: true puts LoRA on the tower"),
        ({"augmentation": "gr00t"}, "augmentation: gr00t changes images at every draw"),
    ],
)
def test_features_that_change_are_not_kept(
    spec_of: SpecMaker, settings: dict[str, object], reason: str
) -> None:
    spec = spec_of(**{"augmentation": "none", "frozen_features": "cache", **settings})
    failed = train(spec)
    assert failed.returncode == 1
    assert reason in failed.stderr
    assert kept(spec) == []


def test_lora_on_the_action_head_alone_trains_with_kept_features(spec_of: SpecMaker) -> None:
    settings = {"augmentation": "none", "lora_rank": 4, "lora_dropout": 0.0}
    _, expected = retrained(spec_of(**settings))
    _, found = retrained(spec_of(frozen_features="cache", **settings))
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_disk_that_is_too_small_is_told_with_the_figures(
    spec_of: SpecMaker, small_disk: Callable[[int], Path]
) -> None:
    spec = spec_of(augmentation="none", frozen_features="cache")
    root = small_disk(80) / "store"
    shutil.copytree(spec.store, root)
    spec = spec.model_copy(update={"store": str(Store(root).root)})
    failed = train(spec)
    assert failed.returncode == 1
    assert "rows take " in failed.stderr
    assert "nothing was trained" in failed.stderr
    assert kept(spec) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prompts_of_other_lengths_are_padded_as_they_are_trained(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    base = load_base_model("tiny", seed=0)
    batch = random_batch(base.config, ["go", "pick the potato", "do"])
    mask = batch["attention_mask"].bool()
    assert isinstance(base.model, Gr00tN15)
    with torch.no_grad():
        features = base.model.backbone(batch)
    tokens = features[mask].to(dtype)
    numbers = tokens if dtype == torch.float32 else tokens.view(torch.int16)
    np.save(tmp_path / "tokens.npy", numbers.numpy())
    lengths = mask.sum(1).tolist()
    prompts = Prompts([(7,) * n for n in lengths], np.arange(len(lengths)), base.tokenizer.pad_id)
    cached = CachedFeatures(tmp_path / "tokens.npy", prompts, dtype)
    found = cached.of(np.array([2, 1, 0]))
    assert torch.equal(found["attention_mask"].bool(), mask.flip(0))
    assert torch.equal(found["features"][mask.flip(0)], features.flip(0)[mask.flip(0)].to(dtype))
    alike = cached.of(np.array([0, 2])) | {"embodiment_id": torch.zeros(2)}
    assert "attention_mask" not in base.model.placed(alike)

    short, long = (
        {**cached.of(rows), "embodiment_id": torch.zeros(1)} for rows in (np.r_[0], np.r_[1])
    )
    joined = in_draw_order([short, long], np.array([1, 0]), base.tokenizer.pad_id)
    assert torch.equal(joined["features"], cached.of(np.array([1, 0]))["features"])
    with pytest.raises(ValueError, match="tokens, not"):
        CachedFeatures(tmp_path / "tokens.npy", prompts._replace(tasks=np.array([0])), dtype)
