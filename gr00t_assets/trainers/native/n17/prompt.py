"""The chat prompt of N1.7, as Qwen3-VL's template has it, without a system message."""

import re

from gr00t_assets.trainers.native.prompts import PAD, PromptFormat

IMAGE_TOKEN = "<|image_pad|>"
_VISION = ("<|vision_start|>", "<|vision_end|>")
_CHAT = ("<|im_start|>", "<|im_end|>")


def prompt_text(task: str, num_images: int, tokens_per_image: int) -> str:
    """The prompt of a task, which is put in lower case, without punctuation.

    Examples:
        >>> print(prompt_text("Pick-up the pear.", 1, 2))
        <|im_start|>user
        <|vision_start|><|image_pad|><|image_pad|><|vision_end|>pickup the pear<|im_end|>
        <BLANKLINE>
    """
    images = (_VISION[0] + IMAGE_TOKEN * tokens_per_image + _VISION[1]) * num_images
    words = re.sub(r"[^\w\s]", "", task.lower())
    return f"{_CHAT[0]}user\n{images}{words}{_CHAT[1]}\n"


N17_PROMPT = PromptFormat(
    prompt_text, IMAGE_TOKEN, byte_tokens=(PAD, *_CHAT, *_VISION, IMAGE_TOKEN, "<|video_pad|>")
)
