"""The licence that a fine-tuned model inherits from its base model."""

from pathlib import Path
from typing import NamedTuple

import yaml

from gr00t_assets.experiments.trainer_limits import BUILT_IN_MODEL, RELEASED_MODEL


class License(NamedTuple):
    """A licence in the words of the Hub's model cards.

    Attributes:
        identifier: One that the Hub knows, or ``other``.
        name: Of one that it does not know.
        link: Where its text is.
        note: What a reader must know of it.
    """

    identifier: str
    name: str | None = None
    link: str | None = None
    note: str = ""


_KNOWN = {
    BUILT_IN_MODEL: License(
        "apache-2.0", note="The base model is drawn at random by gr00t-assets; nobody trained it."
    ),
    RELEASED_MODEL: License(
        "other",
        "nscl-v1",
        f"https://huggingface.co/{RELEASED_MODEL}",
        "The base model is under NVIDIA's licence NSCL V1, as its model card says; so are weights "
        "made from it. Read it before you pass them on.",
    ),
}


def base_license(base_model: str) -> License:
    """The licence of a base model.

    A folder is asked for the front matter of its ``README.md``, which a download from the Hub may
    have. What is not known is said to be unknown and never guessed.

    Example:
        >>> base_license("tiny").identifier
        'apache-2.0'
    """
    if base_model in _KNOWN:
        return _KNOWN[base_model]
    stated = _stated(Path(base_model).expanduser() / "README.md")
    if "license" in stated:
        return License(
            stated["license"],
            stated.get("license_name"),
            stated.get("license_link"),
            "The licence is that of the base model.",
        )
    return License("other", "unknown", None, "The licence of the base model is not known here.")


def _stated(card: Path) -> dict[str, str]:
    try:
        head = card.read_text(encoding="utf-8").split("---\n")[1]
        found = yaml.safe_load(head)
    except (OSError, IndexError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    names = ("license", "license_name", "license_link")
    return {name: str(found[name]) for name in names if isinstance(found, dict) and name in found}
