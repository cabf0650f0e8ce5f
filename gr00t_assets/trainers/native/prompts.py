"""Chat prompts and their tokens: padded on the left, one run of tokens for each image.

N1.5's text is as Isaac-GR00T's Eagle processor makes it, N1.7's as Qwen3-VL's chat template does
without a system message.
"""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, models, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gr00t_assets.core.errors import BaseModelError, DatasetError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.finding import short
from gr00t_assets.modality.observation import special_tokens

QWEN = "Qwen/Qwen3-1.7B"
"""Hub id of the tokenizer for checkpoints that bring none, as nvidia/GR00T-N1.5-3B."""
PAD, IMAGE_TOKEN, N17_IMAGE_TOKEN = "<|endoftext|>", "<IMG_CONTEXT>", "<|image_pad|>"
_CHAT, _VISION = ("<|im_start|>", "<|im_end|>"), ("<|vision_start|>", "<|vision_end|>")

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
LARGEST_TOKENIZER = 64 << 20  # Bytes of one of these files; Qwen's largest has 11 MB.


@dataclass(frozen=True)
class PromptFormat:
    """The prompt of a generation of GR00T."""

    text: Callable[[str, int, int], str]  # Of a task, some images and the tokens of each of them.
    image_token: str  # Stands for a part of an image.
    byte_tokens: tuple[str, ...]  # Special tokens of the byte tokenizer, from id 256 on.
    added_tokens: tuple[str, ...] = ()  # What Qwen's tokenizer lacks.


def eagle_prompt(task: str, num_images: int, tokens_per_image: int) -> str:
    """The chat prompt of N1.5.

    Examples:
        >>> print(eagle_prompt("pick the pear", 1, 2))
        <|im_start|>system
        You are a helpful assistant.<|im_end|>
        <|im_start|>user
        <image 1><img><IMG_CONTEXT><IMG_CONTEXT></img>pick the pear<|im_end|>
        <|im_start|>assistant
        <BLANKLINE>
    """
    tokens = IMAGE_TOKEN * tokens_per_image
    images = [f"<image {number}><img>{tokens}</img>" for number in range(1, num_images + 1)]
    return (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\n{''.join(images)}{task}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def qwen3_prompt(task: str, num_images: int, tokens_per_image: int) -> str:
    """The chat prompt of N1.7, whose task is put in lower case, without punctuation.

    Examples:
        >>> print(qwen3_prompt("Pick-up the pear.", 1, 2))
        <|im_start|>user
        <|vision_start|><|image_pad|><|image_pad|><|vision_end|>pickup the pear<|im_end|>
        <BLANKLINE>
    """
    images = (_VISION[0] + N17_IMAGE_TOKEN * tokens_per_image + _VISION[1]) * num_images
    words = re.sub(r"[^\w\s]", "", task.lower())
    return f"{_CHAT[0]}user\n{images}{words}{_CHAT[1]}\n"


EAGLE_TOKENS = (
    IMAGE_TOKEN,
    *("<img>", "</img>", "<box>", "</box>", "<quad>", "</quad>"),
    *("<ref>", "</ref>", "<interval>", "</interval>"),
)
N15_PROMPT = PromptFormat(
    eagle_prompt,
    IMAGE_TOKEN,
    byte_tokens=(PAD, "<img>", IMAGE_TOKEN, "</img>", *_CHAT),
    added_tokens=EAGLE_TOKENS,
)
N17_PROMPT = PromptFormat(
    qwen3_prompt,
    N17_IMAGE_TOKEN,
    byte_tokens=(PAD, *_CHAT, *_VISION, N17_IMAGE_TOKEN, "<|video_pad|>"),
)


class Tokenizer:
    """Turns tasks into prompt tokens, each distinct task once."""

    def __init__(self, fast: FastTokenizer, prompt: PromptFormat = N15_PROMPT) -> None:
        self._fast, self.prompt = fast, prompt
        vocabulary = fast.get_vocab(with_added_tokens=True)
        self.pad_id, self.image_id = vocabulary[PAD], vocabulary[prompt.image_token]
        added = [token.content for token in fast.get_added_tokens_decoder().values()]
        self._added = [token for token in added if token.startswith("<")]
        self.prompt_ids = functools.lru_cache(maxsize=4096)(self._prompt_ids)

    def special_tokens(self, task: str) -> list[str]:
        """What in a task would be more than words in the prompt, to this tokenizer too."""
        own = [token for token in self._added if token in task]
        return list(dict.fromkeys([*special_tokens(task), *own]))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, special tokens included."""
        return self._fast.encode(text, add_special_tokens=False).ids

    def save(self, directory: Path) -> None:
        """Write ``tokenizer.json``, which ``load_tokenizer`` reads."""
        write_bytes(directory / "tokenizer.json", self._fast.to_str().encode())

    def _prompt_ids(self, task: str, num_images: int, tokens_per_image: int) -> tuple[int, ...]:
        if tokens := self.special_tokens(task):
            found = f"has special tokens in it: {', '.join(tokens)}."
            raise DatasetError(short(task), f"the instruction {found}", ["take them out of it"])
        return tuple(self.encode(self.prompt.text(task, num_images, tokens_per_image)))


def padded_prompts(prompts: Iterable[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """``input_ids`` and ``attention_mask`` (B, L) int64 of prompts, padded on the left."""
    ids = [torch.tensor(prompt) for prompt in prompts]
    padded = functools.partial(pad_sequence, batch_first=True, padding_side="left")
    return padded(ids, padding_value=pad_id), padded([torch.ones_like(own) for own in ids])


def byte_tokenizer(prompt: PromptFormat = N15_PROMPT) -> Tokenizer:
    """One token for each byte of UTF-8, and a few special tokens; needs no file.

    Examples:
        >>> byte_tokenizer().encode("ab<img>")
        [97, 98, 257]
    """
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    ids = {character: byte for byte, character in bytes_to_unicode().items()}
    fast = FastTokenizer(models.BPE(vocab=ids, merges=[]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    _add(fast, prompt.byte_tokens)
    return Tokenizer(fast, prompt)


def has_tokenizer(directory: Path) -> bool:
    """Whether a folder has the files of a Qwen tokenizer."""
    pair = [directory / "vocab.json", directory / "merges.txt"]
    return (directory / "tokenizer.json").is_file() or all(path.is_file() for path in pair)


def load_tokenizer(
    directory: Path, image_token_index: int, prompt: PromptFormat = N15_PROMPT
) -> Tokenizer:
    """Read a Qwen tokenizer from a folder and add the prompt's tokens where they are missing.

    Raises:
        BaseModelError: The files cannot be read, or its image token has another id than the model
            expects.
    """
    for path in map(directory.joinpath, TOKENIZER_FILES):
        if path.is_file() and path.stat().st_size > LARGEST_TOKENIZER:
            found = f"{path.stat().st_size / 2**20:,.0f} MB, Qwen's has 11 MB"
            raise BaseModelError(str(path), "this is too large for a tokenizer.", [found])
    try:
        if (directory / "tokenizer.json").is_file():
            fast = FastTokenizer.from_file(str(directory / "tokenizer.json"))
        else:
            from transformers import Qwen2Tokenizer

            fast = Qwen2Tokenizer.from_pretrained(directory).backend_tokenizer
    except Exception as error:  # tokenizers raises bare Exception
        problem = "its tokenizer cannot be read."
        raise BaseModelError(str(directory), problem, [str(error)]) from error
    if fast.token_to_id(PAD) is None:
        raise BaseModelError(str(directory), f"its tokenizer has no {PAD}; it is not Qwen's.")
    _add(fast, prompt.added_tokens)
    if fast.token_to_id(prompt.image_token) is None:
        problem = f"its tokenizer has no {prompt.image_token}; it is not of Qwen3."
        raise BaseModelError(str(directory), problem, [f"take tokenizer.json of {QWEN}"])
    tokenizer = Tokenizer(fast, prompt)
    require_image_token(tokenizer, str(directory), image_token_index)
    return tokenizer


def _add(fast: FastTokenizer, tokens: Iterable[str]) -> None:
    missing = [token for token in tokens if fast.token_to_id(token) is None]
    fast.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in missing])


def require_image_token(tokenizer: Tokenizer, subject: str, image_token_index: int) -> None:
    """Refuse a tokenizer whose image token is not the one that the model looks for."""
    if tokenizer.image_id != image_token_index:
        found = f"its tokenizer gives {tokenizer.prompt.image_token} the id {tokenizer.image_id}"
        remedy = f"take tokenizer.json of {QWEN}, or Isaac-GR00T's eagle2_hg_model folder"
        raise BaseModelError(subject, f"{found}, the model expects {image_token_index}.", [remedy])
