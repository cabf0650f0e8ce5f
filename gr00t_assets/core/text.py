"""Text from outside, wherever it is shown or written; names; numbers for people.

One function for each place that shows such text: a terminal and a log ``printable``, Markdown
``markdown``, JSON ``json_text``, a spreadsheet ``spreadsheet_cell``, a plot ``figure_png``.
"""

import difflib
import html
import io
import json
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_LENGTH = 120
"""Characters of a name."""

_JOINERS = "\u200c\u200d\u3000\xa0"  # words, emojis and typography need them
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_UNSAFE_IN_JSON = re.compile(
    "[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What JSON may hold as it is, and a terminal or UTF-8 may not."""

_MARKDOWN = re.compile(r"([\\|`*~\[\]]|(?<![^\W_])_|_(?![^\W_]))")
"""Of an underscore inside a word Markdown makes nothing."""

_BLOCK_MARK = re.compile(r"^(?=(?:#{1,6}|[+-]|\d{1,9}[.)])(?:\s|$)|[=-][=\s-]*$)(\d*)(.)")
"""The beginning of a heading, a list, an underline or a rule."""

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


def name_problem(name: str) -> str | None:
    """Say what is wrong with a dataset or experiment name; ``None`` where nothing is.

    Commas and ``...`` break Dagster's backfills, a slash or a leading dot leaves the store.

    Examples:
        >>> name_problem("lr1e-3_b8") is None
        True
        >>> name_problem("a,b")
        "name 'a,b' has ','; allowed are letters, digits, '.', '_' and '-'"
    """
    if not name:
        return "the name is empty"
    if len(name) > MAX_LENGTH:
        return f"name '{name[:20]}...' has {len(name)} characters; at most {MAX_LENGTH} are allowed"
    strange = sorted(set(re.sub(r"[A-Za-z0-9._-]", "", name)))
    if strange:
        characters = " ".join(f"'{character}'" for character in strange)
        return f"name '{name}' has {characters}; allowed are letters, digits, '.', '_' and '-'"
    if ".." in name:
        return f"name '{name}' has '..', which Dagster reads as a range of partitions"
    return f"name '{name}' begins with a dot" if name.startswith(".") else None


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice closest to a misspelt name, or ``None`` where none is close.

    Examples:
        >>> nearest("learning_rat", ["learning_rate", "seed"])
        'learning_rate'
    """
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return close[0] if close else None


def time_zone_problem(name: str) -> str | None:
    """Why a text is not the name of a time zone; ``None`` where it is one.

    Examples:
        >>> time_zone_problem("Europe/Berln")
        "there is no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?"
    """
    if name == "UTC" or name in (zones := available_timezones()):
        return None
    close = nearest(name, zones)
    hint = f"did you mean '{close}'?" if close else "expected one such as Europe/Berlin"
    return f"there is no time zone '{name}'; {hint}"


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """A hint to append to a message: the nearest choice, or all of them where none is near."""
    options = list(choices)
    close = nearest(name, options)
    return f"did you mean '{close}'?" if close else f"known: {', '.join(options) or 'none'}"


def format_bytes(size: float) -> str:
    """Bytes in thousands, with the unit.

    Examples:
        >>> format_bytes(0), format_bytes(1_234), format_bytes(18_200_000_000)
        ('0 B', '1.2 kB', '18.2 GB')
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size:.0f} B"


def counted(count: int, noun: str, plural: str = "") -> str:
    """How many of something there are, with the noun in its right number.

    Examples:
        >>> counted(1, "episode"), counted(2_096, "frame"), counted(0, "policy", "policies")
        ('1 episode', '2,096 frames', '0 policies')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """A time span to two units.

    Examples:
        >>> duration(42.4), duration(125), duration(7_380)
        ('42 s', '2 min 5 s', '2 h 3 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def shown_setting(value: object) -> str:
    """A hyperparameter as one would write it in a sweep file.

    Examples:
        >>> shown_setting(0.0001), shown_setting(True), shown_setting(8)
        ('1e-4', 'true', '8')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return short_number(value, 6)
    return "none" if value is None else str(value)


def short_number(value: float, digits: int) -> str:
    """A number to two significant digits or more, without zeros that say nothing.

    Examples:
        >>> short_number(0.000123, 3), short_number(0.05, 3), short_number(12_300.0, 3)
        ('1.23e-4', '0.05', '1.23e4')
    """
    text = f"{value:.{digits}g}"
    if value and (abs(value) < 1e-2 or "e" in text):
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text
