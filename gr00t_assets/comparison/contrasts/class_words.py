"""The words of a comparability class: runs whose losses may be set side by side."""

import hashlib
import json
from collections.abc import Mapping

DATASET = "dataset"
VERSION = "dataset version"


def class_words(data: Mapping[str, str], parts: str, frames: str) -> dict[str, str]:
    """All that must be equal before one loss can be called lower than another.

    Args:
        data: What the runs were trained on and with, by name.
        parts: Which weights are trained.
        frames: Whether the images are known to be the right ones. Losses of a class where they
            are not say nothing of learning from images.
    """
    return {**data, "trainable parts": parts, "frames": frames}


def identity(words: Mapping[str, str]) -> dict[str, str]:
    """The words that count: of a dataset whose version is known, the version and not the name.

    Example:
        >>> identity({"dataset": "demo", "dataset version": "9f3c"})
        {'dataset version': '9f3c'}
    """
    return {name: value for name, value in words.items() if name != DATASET or VERSION not in words}


def class_id(words: Mapping[str, str]) -> str:
    """First 6 hex digits of a SHA-256 over the words that count."""
    content = json.dumps(identity(words), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:6]
