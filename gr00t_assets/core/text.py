"""Text from outside, such as a task, a name or a note, as text wherever it is shown or written.

Each place that shows text has one function here: a terminal and a log ``printable``, Markdown
``markdown``, JSON ``json_text``, a table for a spreadsheet ``spreadsheet_cell``, a plot
``figure_png``.
"""

import html
import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_JOINERS = "\u200c\u200d\u3000\xa0"
"""Characters that Python calls not printable and that words, emojis and typography need."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_UNSAFE_IN_JSON = re.compile(
    "[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What JSON may hold as it is, and a terminal or UTF-8 may not."""

_MARKDOWN = re.compile(r"([\\|`*~\[\]]|(?<![^\W_])_|_(?![^\W_]))")
"""Of an underscore inside a word Markdown makes nothing."""

_BLOCK_MARK = re.compile(r"^(?=#{1,6}(?:\s|$)|[+-](?:\s|$)|[=-]+\s*$|\d{1,9}[.)](?:\s|$))(\d*)(.)")
"""The beginning of a heading, a list or an underline."""


_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(?:\d[\d,]*\.?\d*|\.\d+|inf|nan)(?:[eE][+-]?\d+)?", re.IGNORECASE)


def printable(text: str, lines: bool = True) -> str:
    """A text that does nothing to a terminal or a log: control characters are shown escaped.

    So are lone surrogates, which UTF-8 cannot write, and what changes the direction of writing.

    Args:
        lines: Whether line breaks and tabs stay; else they are escaped too.

    Examples:
        >>> printable("a\\x1b[31mb\\rc")
        'a\\\\x1b[31mb\\\\rc'
    """
    if text.isprintable():
        return text
    kept = _JOINERS + ("\n\t" if lines else "")
    return "".join(
        character
        if character.isprintable() or character in kept
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def has_lone_surrogate(value: object) -> bool:
    r"""Whether a text of what JSON has is no Unicode, as ``json.loads`` makes of ``"\ud800"``."""
    return writable(value) != value


def writable(value: Any) -> Any:
    r"""What JSON has, with each lone surrogate as its escape, so that UTF-8 can write it.

    Examples:
        >>> writable({"name": ["a\ud800"]})
        {'name': ['a\\ud800']}
    """
    if isinstance(value, str):
        return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):x}", value)
    if isinstance(value, dict):
        return {writable(name): writable(item) for name, item in value.items()}
    return [writable(item) for item in value] if isinstance(value, list | tuple) else value


def json_text(value: Any, indent: int | None = 2) -> str:
    r"""A value as JSON in UTF-8 that a terminal can show; NaN is refused.

    Examples:
        >>> print(json_text(["é", "\x9b31m", "\ud800"], indent=None))
        ["é", "\u009b31m", "\ud800"]
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return _UNSAFE_IN_JSON.sub(lambda match: json.dumps(match[0])[1:-1], text)


def markdown(text: str) -> str:
    r"""Text that Markdown leaves as it is, on one line.

    Examples:
        >>> print(markdown("a|b <i> c_d"))
        a\|b &lt;i&gt; c_d
        >>> print(markdown("# [x](javascript:y)"))
        \# \[x\](javascript:y)
    """
    text = html.escape(printable(" ".join(text.split())), quote=False)
    text = _MARKDOWN.sub(r"\\\1", text)
    return _BLOCK_MARK.sub(r"\1\\\2", text)


def spreadsheet_cell(text: str) -> str:
    """A cell that a spreadsheet takes for text; ``from_spreadsheet`` gives it back.

    What begins like a formula gets an apostrophe before it; a plain number does not.

    Examples:
        >>> spreadsheet_cell("=1+1"), spreadsheet_cell("-0.5"), spreadsheet_cell("'=x")
        ("'=1+1", '-0.5', "''=x")
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def from_spreadsheet(cell: str) -> str:
    """The text of a cell that ``spreadsheet_cell`` wrote; any other cell is as it was.

    Examples:
        >>> from_spreadsheet("'=1+1"), from_spreadsheet("'tis")
        ('=1+1', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def escape_output() -> None:
    """Print as an escape what the terminal's encoding does not have, as a C locale does ±."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def figure_png(figure: "Figure") -> bytes:
    """A figure as a PNG; what is between dollar signs in its texts is no formula."""
    import matplotlib
    from matplotlib.text import Text

    buffer = io.BytesIO()
    with matplotlib.rc_context({"text.parse_math": False}):
        for text in figure.findobj(Text):
            text.set_parse_math(False)
            text.set_text(printable(text.get_text()))
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
