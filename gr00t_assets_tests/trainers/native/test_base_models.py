import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gr00t_assets.core.errors import BaseModelError, TrainingError
from gr00t_assets.trainers.base_model_files import known_generation, locate
from gr00t_assets.trainers.n15.architecture import TINY, ModelConfig
from gr00t_assets.trainers.native import weights
from gr00t_assets.trainers.native.base_models import (
    BaseModel,
    choose_device,
    load_base_model,
    save_model,
)
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets.trainers.native.memory import counted_config
from gr00t_assets.trainers.native.weights import FUTURE_TOKENS
from gr00t_assets_tests.trainers.native.test_prompts import small_qwen

LM_HEAD = "backbone.eagle_model.language_model.lm_head.weight"
EMBEDDING = "backbone.eagle_model.language_model.model.embed_tokens.weight"


@pytest.fixture(scope="module")
def tiny() -> BaseModel:
    return load_base_model("tiny", seed=3)


@pytest.fixture
def saved(tiny, tmp_path) -> Path:
    directory = tmp_path / "model"
    save_model(tiny.model, directory, tiny.tokenizer)
    return directory


def _same(first: Gr00tModel, second: Gr00tModel) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def _refused(base_model: str | Path, **arguments) -> str:
    with pytest.raises(BaseModelError) as caught:
        load_base_model(str(base_model), **arguments)
    return str(caught.value)


def _edit(directory: Path, edit) -> None:
    tensors = load_file(directory / "model.safetensors")
    edit(tensors)
    save_file(tensors, directory / "model.safetensors")


def test_tiny_depends_on_the_seed_alone(tiny):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = load_base_model("tiny", seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert _same(tiny.model, again.model)
    assert not _same(tiny.model, load_base_model("tiny", seed=4).model)
    assert tiny.config == TINY and tiny.revision is None


def test_a_saved_model_comes_back_to_the_bit(tiny, saved):
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]
    loaded = load_base_model(str(saved))
    assert loaded.config == tiny.config
    assert _same(tiny.model, loaded.model)
    buffers, expected = dict(loaded.model.named_buffers()), dict(tiny.model.named_buffers())
    assert buffers.keys() == expected.keys()
    assert all(torch.equal(buffers[name], expected[name]) for name in expected)
    first = (saved / "model.safetensors").read_bytes()
    save_model(loaded.model, saved)
    assert (saved / "model.safetensors").read_bytes() == first


def test_tensors_that_share_storage_are_written_apart(tiny, tmp_path):
    model = load_base_model("tiny").model
    norm = model.action_head.vlln
    norm.bias = torch.nn.Parameter(norm.weight.detach().view_as(norm.weight))
    save_model(model, tmp_path)
    assert _same(load_base_model(str(tmp_path)).model, model)


def test_dtype_and_horizon_of_a_loaded_model(saved):
    loaded = load_base_model(str(saved), dtype=torch.bfloat16, action_horizon=8)
    assert {p.dtype for p in loaded.model.backbone.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in loaded.model.action_head.parameters()} == {torch.float32}
    assert loaded.config.action_head.action_horizon == 8
    assert "cannot predict 1000 actions at once" in _refused(saved, action_horizon=1000)


def test_a_model_over_the_limit_is_saved_in_shards(tiny, saved, monkeypatch):
    monkeypatch.setattr(weights, "LARGEST_SHARD", 5_000_000)
    save_model(tiny.model, saved, tiny.tokenizer)
    index = json.loads((saved / "model.safetensors.index.json").read_text())
    shards = sorted(saved.glob("*.safetensors"))
    assert [path.name for path in shards] == sorted(set(index["weight_map"].values()))
    count = len(shards)
    assert shards[0].name == f"model-00001-of-{count:05}.safetensors" and count > 1
    assert all(path.stat().st_size < 5_100_000 for path in shards)
    assert index["metadata"]["total_size"] == sum(
        tensor.nbytes for tensor in tiny.model.state_dict().values()
    )
    assert _same(load_base_model(str(saved)).model, tiny.model)


def test_shards(tiny, saved):
    tensors = load_file(saved / "model.safetensors")
    (saved / "model.safetensors").unlink()
    names = sorted(tensors)
    index = {}
    for number, part in enumerate((names[::2], names[1::2])):
        save_file({name: tensors[name] for name in part}, saved / f"part-{number}.safetensors")
        index |= dict.fromkeys(part, f"part-{number}.safetensors")
    path = saved / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": index}))
    assert _same(load_base_model(str(saved)).model, tiny.model)

    (saved / "part-1.safetensors").unlink()
    message = _refused(saved)
    assert "1 of its 2 shards are missing" in message and "part-1.safetensors" in message

    path.write_text(json.dumps({"weight_map": {"a": "../part-0.safetensors"}}))
    assert "no safetensors beside it" in _refused(saved)
    path.write_text("{}")
    assert "not an index of shards" in _refused(saved)


def test_lm_head_is_passed_over(tiny, saved):
    def add(tensors):
        tensors[LM_HEAD] = torch.zeros_like(tensors[EMBEDDING])

    _edit(saved, add)
    assert _same(load_base_model(str(saved)).model, tiny.model)


def test_lm_head_stands_for_embeddings_that_are_tied_to_it(tiny, saved):
    def move(tensors):
        tensors[LM_HEAD] = tensors.pop(EMBEDDING)

    _edit(saved, move)
    assert _same(load_base_model(str(saved)).model, tiny.model)


def test_weights_of_another_model_are_all_named(saved):
    def edit(tensors):
        del tensors["action_head.vlln.bias"], tensors["backbone.eagle_model.mlp1.0.bias"]
        tensors["action_head.radar.weight"] = torch.zeros(2)
        tensors["action_head.vlln.weight"] = torch.zeros(3)

    _edit(saved, edit)
    message = _refused(saved)
    assert "its weights do not match its config.json" in message
    assert "2 missing: action_head.vlln.bias, backbone.eagle_model.mlp1.0.bias" in message
    assert "1 unexpected: action_head.radar.weight" in message
    assert "action_head.vlln.weight has shape [3], expected [64]" in message


def test_a_checkpoint_of_the_june_release_is_a_model_without_future_tokens(tiny, saved, tmp_path):
    _edit(saved, lambda tensors: tensors.pop(FUTURE_TOKENS))
    june = load_base_model(str(saved))
    assert june.config.action_head.num_target_vision_tokens == 0
    names = tiny.model.state_dict().keys() - {FUTURE_TOKENS}
    theirs = june.model.state_dict()
    assert all(torch.equal(tiny.model.state_dict()[name], theirs[name]) for name in names)

    save_model(june.model, tmp_path / "again")
    assert FUTURE_TOKENS not in load_file(tmp_path / "again" / "model.safetensors")
    assert _same(load_base_model(str(tmp_path / "again")).model, june.model)


@pytest.mark.parametrize("path", ["./none", "/none/at/all", "~/none-at-all", "some/folder/deep"])
def test_a_path_that_does_not_exist(path):
    assert "there is no such folder" in _refused(path)


def test_a_file_is_no_model(saved):
    assert "this is a file" in _refused(saved / "config.json")


def test_an_unknown_word():
    message = _refused("tinny")
    assert "there is no such base model" in message and "built in: tiny" in message


def test_an_empty_folder(tmp_path):
    message = _refused(tmp_path)
    assert "config.json is missing" in message and "found nothing" in message


def test_a_folder_without_weights(saved):
    (saved / "model.safetensors").unlink()
    assert "model.safetensors is missing" in _refused(saved)


def test_pickles_are_refused(saved):
    (saved / "model.safetensors").rename(saved / "pytorch_model.bin")
    message = _refused(saved)
    assert "pytorch_model.bin: pickles" in message


def test_a_git_lfs_pointer(saved):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (saved / "model.safetensors").write_text(pointer)
    assert "Git LFS pointer" in _refused(saved)


def test_a_truncated_file(saved):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "not a whole safetensors file" in _refused(saved)


def test_a_model_with_a_qwen_tokenizer_brings_it_along(tmp_path):
    size = small_qwen(tmp_path)
    raw = TINY.model_dump()
    raw["towers"] |= {"tokenizer": "eagle", "image_token_index": size}
    raw["towers"]["text_config"]["vocab_size"] = size + 11
    config = ModelConfig.model_validate(raw)
    save_model(Gr00tN15(config), tmp_path)
    loaded = load_base_model(str(tmp_path))
    copy = tmp_path / "copy"
    save_model(loaded.model, copy, loaded.tokenizer)
    ids = load_base_model(str(copy)).tokenizer.prompt_ids("pick the pear", 1, 4)
    assert ids == loaded.tokenizer.prompt_ids("pick the pear", 1, 4)
    assert ids.count(size) == 4


LOAD = """
import sys
from gr00t_assets.core.errors import BaseModelError
from gr00t_assets.trainers.native.base_models import load_base_model
for name in sys.argv[1:]:
    try:
        print("loaded", load_base_model(name, "main").revision)
    except BaseModelError as error:
        print("refused", error)
"""


def test_hub_ids_are_looked_up_in_the_cache_and_on_the_hub(saved, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--someone--robot"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    saved.rename(repository / "snapshots" / commit)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, "someone/robot", "someone/else"],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"loaded {commit}" in done.stdout
    assert "refused someone/else: this is neither a folder here nor a model" in done.stdout


@pytest.mark.parametrize(("kind", "found"), [("cuda", "no GPU is seen here"), ("gpu", "'gpu' is")])
def test_a_device_that_is_not_there_is_refused(
    kind: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(TrainingError, match=found):
        choose_device(kind)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/a/b", "x" * 300, "my model", "a..b/c"])
def test_a_name_that_is_no_path_and_no_id_of_the_hub_is_told(name: str) -> None:
    assert known_generation(name) is None
    assert counted_config(name) is None
    with pytest.raises(BaseModelError):
        locate(name)
