"""The chat prompt of N1.5 and its tokens: padded on the left, one run of tokens for each image.

Text as Isaac-GR00T's Eagle processor makes it from its chat template.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from tokenizers import AddedToken
from tokenizers import Tokenizer as FastTokenizer
from torch import Tensor

from gr00t_assets.core.errors import BaseModelError, DatasetError
from gr00t_assets.core.files import write_bytes

QWEN = "Qwen/Qwen3-1.7B"
"""Hub id of the tokenizer for checkpoints that bring none, as nvidia/GR00T-N1.5-3B."""
PAD, IMAGE_TOKEN = "<|endoftext|>", "<IMG_CONTEXT>"
EAGLE_TOKENS = (
    IMAGE_TOKEN,
    *("<img>", "</img>", "<box>", "</box>", "<quad>", "</quad>"),
    *("<ref>", "</ref>", "<interval>", "</interval>"),
)
BYTE_TOKENS = (PAD, "<img>", IMAGE_TOKEN, "</img>", "<|im_start|>", "<|im_end|>")
"""Special tokens of the byte tokenizer, from id 256 on."""
CACHED_PROMPTS = 4096


def build_prompt(task: str, num_images: int) -> str:
    """The chat prompt with a placeholder for each image.

    Example:
        >>> print(build_prompt("pick the pear", 1))
        <|im_start|>system
        You are a helpful assistant.<|im_end|>
        <|im_start|>user
        <image-1>pick the pear<|im_end|>
        <|im_start|>assistant
        <BLANKLINE>
    """
    images = "".join(f"<image-{number}>" for number in range(1, num_images + 1))
    return (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\n{images}{task}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def expand_images(prompt: str, tokens_per_image: int) -> str:
    """Put image tokens in place of the placeholders.

    Example:
        >>> expand_images("<image-1>go", 2)
        '<image 1><img><IMG_CONTEXT><IMG_CONTEXT></img>go'
    """
    tokens = IMAGE_TOKEN * tokens_per_image
    return re.sub(r"<image-(\d+)>", rf"<image \1><img>{tokens}</img>", prompt)


class Encoding(Protocol):
    """What turns text into token ids, special tokens included."""

    pad_id: int
    image_id: int

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``."""
        ...

    def save(self, directory: Path) -> None:
        """Write what :func:`load_tokenizer` reads."""
        ...


class ByteEncoding:
    """One token for each byte of UTF-8, and six special tokens; needs no file."""

    pad_id = 256 + BYTE_TOKENS.index(PAD)
    image_id = 256 + BYTE_TOKENS.index(IMAGE_TOKEN)
    _special = re.compile("(" + "|".join(map(re.escape, BYTE_TOKENS)) + ")")

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``.

        Example:
            >>> ByteEncoding().encode("ab<img>")
            [97, 98, 257]
        """
        ids: list[int] = []
        for piece in self._special.split(text):
            if piece in BYTE_TOKENS:
                ids.append(256 + BYTE_TOKENS.index(piece))
            else:
                ids.extend(piece.encode())
        return ids

    def save(self, directory: Path) -> None:
        """Write nothing."""


class EagleEncoding:
    """Qwen's byte-pair encoding with Eagle's image tokens."""

    def __init__(self, tokenizer: FastTokenizer) -> None:
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        self.pad_id = vocabulary[PAD]
        self.image_id = vocabulary[IMAGE_TOKEN]

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def save(self, directory: Path) -> None:
        """Write ``tokenizer.json``."""
        write_bytes(directory / "tokenizer.json", self._tokenizer.to_str().encode())


class Tokenizer:
    """Turns tasks into prompt tokens, each distinct task once.

    Args:
        encoding: Text to token ids.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.pad_id = encoding.pad_id
        self.image_id = encoding.image_id
        self.prompt_ids = functools.lru_cache(maxsize=CACHED_PROMPTS)(self._prompt_ids)

    def _prompt_ids(self, task: str, num_images: int, tokens_per_image: int) -> tuple[int, ...]:
        ids = self.encoding.encode(expand_images(build_prompt(task, num_images), tokens_per_image))
        expected = num_images * tokens_per_image
        if ids.count(self.image_id) != expected:
            raise DatasetError(
                repr(task),
                "the task's text has image placeholders in it.",
                [
                    f"{ids.count(self.image_id)} image tokens, expected {expected}",
                    f"take '<image-1>' and '{IMAGE_TOKEN}' out of meta/tasks.jsonl",
                ],
            )
        return tuple(ids)


def tokenize(
    tokenizer: Tokenizer, tasks: Sequence[str], num_images: int, tokens_per_image: int
) -> tuple[Tensor, Tensor]:
    """Prompts of a batch as tokens, padded on the left.

    Args:
        tokenizer: From :func:`load_tokenizer`.
        tasks: One task for each sample.
        num_images: Camera views of a sample.
        tokens_per_image: Image tokens of a view, ``config.tokens_per_image``.

    Returns:
        ``input_ids`` and ``attention_mask``, both (B, L) int64.

    Raises:
        DatasetError: A task has image placeholders in its text.
    """
    prompts = [tokenizer.prompt_ids(task, num_images, tokens_per_image) for task in tasks]
    length = max(map(len, prompts), default=0)
    input_ids = torch.full((len(prompts), length), tokenizer.pad_id, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    for row, ids in enumerate(prompts):
        input_ids[row, length - len(ids) :] = torch.tensor(ids)
        attention_mask[row, length - len(ids) :] = 1
    return input_ids, attention_mask


def has_tokenizer(directory: Path) -> bool:
    """Whether a folder has the files of a Qwen tokenizer."""
    pair = [directory / "vocab.json", directory / "merges.txt"]
    return (directory / "tokenizer.json").is_file() or all(path.is_file() for path in pair)


def load_tokenizer(directory: Path, image_token_index: int) -> Tokenizer:
    """Read a Qwen tokenizer from a folder and add Eagle's tokens where they are missing.

    Raises:
        BaseModelError: The files cannot be read, or its image token has another id than the model
            expects.
    """
    try:
        if (directory / "tokenizer.json").is_file():
            fast = FastTokenizer.from_file(str(directory / "tokenizer.json"))
        else:
            from transformers import Qwen2Tokenizer

            fast = Qwen2Tokenizer.from_pretrained(directory).backend_tokenizer
    except Exception as error:  # tokenizers raises bare Exception
        raise BaseModelError(
            str(directory), "its tokenizer cannot be read.", [str(error)]
        ) from error
    if fast.token_to_id(PAD) is None:
        raise BaseModelError(str(directory), f"its tokenizer has no {PAD}; it is not Qwen's.")
    _add(fast, EAGLE_TOKENS)
    return checked(Tokenizer(EagleEncoding(fast)), str(directory), image_token_index)


def _add(fast: FastTokenizer, tokens: Iterable[str]) -> None:
    missing = [token for token in tokens if fast.token_to_id(token) is None]
    fast.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in missing])


def checked(tokenizer: Tokenizer, subject: str, image_token_index: int) -> Tokenizer:
    """The tokenizer, if its image token is the one that the model looks for.

    Raises:
        BaseModelError: It is another one.
    """
    if tokenizer.image_id != image_token_index:
        raise BaseModelError(
            subject,
            f"its tokenizer gives {IMAGE_TOKEN} the id {tokenizer.image_id}, the model expects "
            f"{image_token_index}.",
            ["take tokenizer.json of Qwen/Qwen3-1.7B, or Isaac-GR00T's eagle2_hg_model folder"],
        )
    return tokenizer
