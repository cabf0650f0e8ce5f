"""Path templates of ``info.json``: known fields alone, and widths that do no harm."""

import re
import string
from collections.abc import Collection

FIELDS = ("episode_chunk", "episode_index", "video_key")

LONGEST = 500

_WIDTH = re.compile(r"0?\d{0,2}d?")
"""Format of a number: ``{episode_index:0999999999d}`` would fill the memory."""


def template_problem(template: str, needed: Collection[str]) -> str | None:
    """What is wrong with a template; ``None`` where it can be filled.

    Args:
        template: As ``info.json`` has it.
        needed: Fields without which two episodes would share a path.

    Example:
        >>> template_problem("data/{episode}.parquet", {"episode_index"})
        'has the unknown field {episode}'
    """
    if len(template) > LONGEST:
        return f"has {len(template):,} characters"
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        return f"is no template: {error}"
    seen = set()
    for _, name, width, conversion in parts:
        if name is None:
            continue
        if name not in FIELDS:
            return f"has the unknown field {{{name}}}"
        if conversion or not _WIDTH.fullmatch(width or "") or (width and name == "video_key"):
            return f"formats {{{name}}} in a way that no path needs"
        seen.add(name)
    missing = sorted(set(needed) - seen)
    if missing:
        return f"lacks {{{missing[0]}}}, so that different files have one path"
    return None
