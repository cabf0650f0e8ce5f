"""Base models of absurd sizes are refused within seconds and 1 GB, and NaN weights by name."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gr00t_assets.trainers.native.base_models import load_base_model, save_model
from gr00t_assets_tests.harness.limited import Result, run_limited

Spoil = Callable[[Path], object]

WEIGHTS = "model.safetensors"


def config(change: Callable[[Any], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        change(content)
        (folder / "config.json").write_text(json.dumps(content))

    return spoil


def tower(name: str, **sizes: int) -> Spoil:
    return config(lambda content: content["towers"][name].update(sizes))


def head(**sizes: int) -> Spoil:
    return config(lambda content: content["action_head_cfg"].update(sizes))


def text(file: str, content: str | bytes) -> Spoil:
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / file).write_bytes(raw)


def sparse(file: str, size: int) -> Spoil:
    """A file of zeros that takes no room on the disk."""

    def spoil(folder: Path) -> None:
        with (folder / file).open("wb") as opened:
            opened.truncate(size)

    return spoil


def header(content: Any, size: int | None = None, length: int = 8) -> Spoil:
    """Weights with another header, which says that it has ``size`` bytes."""

    def spoil(folder: Path) -> None:
        raw = json.dumps(content).encode()
        with (folder / WEIGHTS).open("wb") as file:
            file.write(struct.pack("<Q", len(raw) if size is None else size) + raw)
            file.truncate(8 + len(raw) + length)

    return spoil


def huge_vocabulary(folder: Path) -> None:
    """Weights that are as large as they say, in a file that takes no room on the disk."""
    rows, name = 2_500_000, "backbone.eagle_model.language_model.model.embed_tokens.weight"
    tensors = load_file(folder / WEIGHTS)
    tower("text_config", vocab_size=rows)(folder)
    described, offset = {}, 0
    for key, tensor in tensors.items():
        shape = [rows, tensor.shape[1]] if key == name else list(tensor.shape)
        size = 2 * int(torch.Size(shape).numel())
        described[key] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    header(described, length=offset)(folder)


def added_token(number: int) -> Spoil:
    token = {"id": number, "content": "<x>", "single_word": False, "lstrip": False}
    token |= {"rstrip": False, "normalized": False, "special": True}
    model = {"type": "BPE", "vocab": {"<|endoftext|>": 0, "b": number}, "merges": []}
    return text("tokenizer.json", json.dumps({"added_tokens": [token], "model": model}))


def own_tokenizer(change: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        config(lambda content: content["towers"].update(tokenizer="eagle"))(folder)
        change(folder)

    return spoil


ABSURD: dict[str, tuple[Spoil, str]] = {
    "ten million text layers": (tower("text_config", num_hidden_layers=10**7), "num_hidden_layers"),
    "a cut to ten million layers": (
        config(
            lambda c: (
                c["towers"]["text_config"].update(num_hidden_layers=10**7),
                c["backbone_cfg"].update(select_layer=10**7),
            )
        ),
        "num_hidden_layers",
    ),
    "ten million image layers": (
        tower("vision_config", num_hidden_layers=10**7),
        "num_hidden_layers",
    ),
    "ten million blocks": (
        config(lambda c: c["action_head_cfg"]["diffusion_model_cfg"].update(num_layers=10**7)),
        "num_layers",
    ),
    "as many layers as are allowed": (
        tower("vision_config", num_hidden_layers=1000),
        "do not match",
    ),
    "a vocabulary of two billion": (tower("text_config", vocab_size=2 * 10**9), "vocab_size"),
    "a vocabulary of 10^30": (tower("text_config", vocab_size=10**30), "too large"),
    "a vocabulary of three million": (tower("text_config", vocab_size=3 * 10**6), "do not match"),
    "a vocabulary of millions in sparse weights": (huge_vocabulary, "memory"),
    "an image of 10^9 pixels a side": (tower("vision_config", image_size=10**9), "image_size"),
    "a width of 10^12": (tower("vision_config", intermediate_size=10**12), "intermediate_size"),
    "10^12 embodiments": (head(max_num_embodiments=10**12), "max_num_embodiments"),
    "10^9 denoising steps": (head(num_inference_timesteps=10**9), "num_inference_timesteps"),
    "10^12 future tokens": (head(num_target_vision_tokens=10**12), "num_target_vision_tokens"),
    "10^12 rows of positions": (head(max_seq_len=10**12), "max_seq_len"),
    "a number of a million digits": (text("config.json", f'{{"a": {"9" * 10**6}}}'), "config"),
    "a configuration of 100,000 levels": (text("config.json", "[" * 10**5), "nested"),
    "a configuration of 50 GB": (sparse("config.json", 50 * 10**9), "large"),
    "a header of 2^60 bytes": (header({}, size=2**60), "safetensors"),
    "a tensor of 10^18 numbers": (
        header({"x": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 8]}}),
        "safetensors",
    ),
    "shapes that overflow": (
        header({"x": {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 8]}}),
        "safetensors",
    ),
    "a million empty tensors": (
        header(
            {f"x{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(10**6)},
            length=0,
        ),
        "",
    ),
    "weights of 8 bytes": (text(WEIGHTS, b"\xff" * 8), "safetensors"),
    "weights of zeros": (sparse(WEIGHTS, 10**12), "safetensors"),
    "a list of shards of 100,000 levels": (
        lambda folder: (
            (folder / WEIGHTS).unlink(),
            text(f"{WEIGHTS}.index.json", "[" * 10**5)(folder),
        ),
        "nested",
    ),
    "a list of shards of 50 GB": (
        lambda folder: (
            (folder / WEIGHTS).unlink(),
            sparse(f"{WEIGHTS}.index.json", 50 * 10**9)(folder),
        ),
        "large",
    ),
    "a tokenizer of 50 GB": (own_tokenizer(sparse("tokenizer.json", 50 * 10**9)), "large"),
    "a vocabulary list of 50 GB": (
        own_tokenizer(lambda f: (sparse("vocab.json", 50 * 10**9)(f), text("merges.txt", "")(f))),
        "large",
    ),
    "a token of id 2^32 - 1": (own_tokenizer(added_token(2**32 - 1)), "token"),
    "a token of id 10^30": (own_tokenizer(added_token(10**30)), "tokenizer"),
    "a tokenizer of 100,000 levels": (
        own_tokenizer(text("tokenizer.json", "[" * 10**5)),
        "tokenizer",
    ),
}

LOAD = "from gr00t_assets.trainers.native.base_models import load_base_model"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a folder."""
    folder = tmp_path_factory.mktemp("base") / "model"
    loaded = load_base_model("tiny")
    save_model(loaded.model, folder)
    return folder


@pytest.fixture(scope="module")
def results(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What is said of each, all in turn by processes that have torch already."""
    folders = tmp_path_factory.mktemp("absurd")
    pieces = {}
    for number, (name, (spoil, _)) in enumerate(ABSURD.items()):
        folder = shutil.copytree(base, folders / str(number))
        spoil(folder)
        pieces[name] = f"load_base_model({str(folder)!r})"
    pieces["sound"] = f"load_base_model({str(base)!r})"
    return run_limited(pieces, LOAD)


@pytest.mark.parametrize("name", ABSURD)
def test_an_absurd_base_model_is_refused(name: str, results: dict[str, Result]) -> None:
    assert ABSURD[name][1] in results[name].refused()


def test_a_sound_one_is_read_within_the_same_limits(results: dict[str, Result]) -> None:
    results["sound"].done()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_named(value: float, base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "model"))
    tensors = load_file(folder / WEIGHTS)
    name = next(key for key in tensors if "action_head" in key and tensors[key].numel() > 4)
    tensors[name].view(-1)[3] = value
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(Exception) as caught:
        load_base_model(str(folder))
    assert name in str(caught.value)
    assert "finite" in str(caught.value)
    assert "learning" not in str(caught.value)
