"""The towers, which the Hub has."""

from transformers import Qwen3VLForConditionalGeneration


def make_towers(model_name):
    """Towers with weights that are replaced afterwards."""
    return Qwen3VLForConditionalGeneration.from_pretrained(model_name)
