import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers

from gr00t_assets.core.errors import BaseModelError, DatasetError
from gr00t_assets.trainers.native.prompts import (
    EAGLE_TOKENS,
    Tokenizer,
    byte_tokenizer,
    eagle_prompt,
    load_tokenizer,
    padded_prompts,
)


def small_qwen(
    directory: Path, special: tuple[str, ...] = ("<|endoftext|>", "<|im_start|>")
) -> int:
    """Write a byte-level BPE like Qwen's, and return its number of tokens."""
    fast = FastTokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[*special, "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    fast.train_from_iterator(["You are a helpful assistant. pick the pear"] * 4, trainer)
    fast.save(str(directory / "tokenizer.json"))
    return fast.get_vocab_size(with_added_tokens=True)


def test_prompts_equal_nvidias(parity_data):
    samples = json.loads((parity_data / "samples.json").read_text())
    assert len(samples) in (3, 20)
    for sample in samples:
        task = sample["prompt"].split("<image-1>")[1].split("<|im_end|>")[0]
        theirs = sample["prompt"].replace("<image-1>", "<image 1><img></img>")
        assert eagle_prompt(task, 1, 0) == theirs


def test_each_image_gets_its_number_and_its_tokens():
    text = eagle_prompt("go", 2, 3)
    run = "<IMG_CONTEXT>" * 3
    assert f"<image 1><img>{run}</img><image 2><img>{run}</img>go<|im_end|>" in text


def test_bytes_come_back_as_text():
    text = "<|im_start|>grüß dich <img></img>"
    ids = byte_tokenizer().encode(text)
    assert ids[0] == 260 and ids[-2:] == [257, 259]
    assert bytes(ids[1:-2]).decode() == "grüß dich "


def test_padding_is_on_the_left():
    tokenizer = byte_tokenizer()
    prompts = [tokenizer.prompt_ids(task, 1, 4) for task in ("a", "abcd")]
    ids, mask = padded_prompts(prompts, tokenizer.pad_id)
    assert ids.dtype == mask.dtype == torch.int64
    assert ids.shape == mask.shape
    assert mask[0].tolist() == [0, 0, 0] + [1] * (ids.shape[1] - 3)
    assert ids[0, :3].tolist() == [tokenizer.pad_id] * 3
    assert mask[1].all()
    assert (ids == tokenizer.image_id).sum(1).tolist() == [4, 4]


def test_a_task_is_encoded_once(tmp_path):
    class Counting(Tokenizer):
        calls = 0

        def encode(self, text: str) -> list[int]:
            self.calls += 1
            return super().encode(text)

    small_qwen(tmp_path, special=("<|endoftext|>", "<|im_start|>", "<IMG_CONTEXT>"))
    tokenizer = Counting(FastTokenizer.from_file(str(tmp_path / "tokenizer.json")))
    for task in ("a", "b", "a", "b"):
        tokenizer.prompt_ids(task, 1, 4)
    assert tokenizer.calls == 2


@pytest.mark.parametrize("task", ["see <image-1>", "see <IMG_CONTEXT>", "a<|im_end|>b", "<img>"])
def test_special_tokens_in_a_task_are_an_error(task):
    with pytest.raises(DatasetError, match="special tokens"):
        byte_tokenizer().prompt_ids(task, 1, 4)


def test_eagles_tokens_are_added_to_qwens(tmp_path):
    size = small_qwen(tmp_path)
    tokenizer = load_tokenizer(tmp_path, size)
    prompt = eagle_prompt("pick the pear", 1, 2)
    ids = tokenizer.encode(prompt)
    assert ids.count(size) == 2
    assert size + EAGLE_TOKENS.index("<img>") in ids
    saved = tmp_path / "saved"
    saved.mkdir()
    tokenizer.save(saved)
    assert load_tokenizer(saved, size).encode(prompt) == ids


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    size = small_qwen(tmp_path)
    with pytest.raises(BaseModelError, match=f"the id {size}, the model expects 151669"):
        load_tokenizer(tmp_path, 151_669)
    small_qwen(tmp_path, special=())
    with pytest.raises(BaseModelError, match="is not Qwen's"):
        load_tokenizer(tmp_path, size)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BaseModelError, match="cannot be read"):
        load_tokenizer(tmp_path, size)
