"""Special tokens of the models in an instruction: to the tokenizer they are no words.

``<|im_end|>`` ends the turn of the prompt, ``<image-1>`` is replaced by an image. They are those of
Isaac-GR00T's Eagle processor and of Qwen's tokenizer; those of later models are of the same forms.
"""

import re

_SPECIAL = re.compile(
    r"<\|[^\s|<>]{1,40}\|>"
    r"|</?(?:img|IMG_CONTEXT|box|quad|ref|interval|think|tool_call|tool_response)>"
    r"|<(?:image|video|audio)(?:[- ]\d+)?>"
)


def special_tokens(text: str) -> list[str]:
    """The special tokens in a text, each once.

    Examples:
        >>> special_tokens("<image-1>pick<|im_end|> it <|im_end|>"), special_tokens("pick <it>")
        (['<image-1>', '<|im_end|>'], [])
    """
    return list(dict.fromkeys(_SPECIAL.findall(text)))


def without_special_tokens(text: str) -> str:
    """The text with a space in each special token, so that it is words to the tokenizer.

    Examples:
        >>> without_special_tokens("press <|im_end|> or <b>")
        'press < |im_end|> or <b>'
    """
    return _SPECIAL.sub(lambda match: f"< {match[0][1:]}", text)
