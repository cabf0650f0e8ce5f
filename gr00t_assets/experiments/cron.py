"""Cron expressions of five fields, checked where they stand in a sweep file."""

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
"""Name, lowest and highest number, and the names that stand for numbers, in order."""

_PART = re.compile(r"(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:/([0-9]+))?")
_EXAMPLE = "such as '0 20 * * *', every day at 20:00 UTC"


def cron_problem(text: str) -> str | None:
    """What keeps a text from being a cron expression of five fields; ``None`` where nothing does.

    A field is ``*``, a number, a name (``jan``, ``mon``), a range ``1-5``, any of them with a step
    ``*/15``, or several of these with commas. What Dagster takes beyond that (``L``, ``W``, ``#``,
    ``@daily``) is refused.

    Example:
        >>> cron_problem("*/15 8-18 * * mon-fri") is None
        True
        >>> cron_problem("0 25 * * *")
        'hour 25 is not in 0 to 23'
    """
    words = text.lower().split()
    if len(words) != len(_FIELDS):
        return f"a cron schedule has five fields, {_EXAMPLE}"
    for word, field in zip(words, _FIELDS, strict=True):
        for part in word.split(","):
            if problem := _part_problem(part, *field):
                return problem
    if words[2].isdigit() and words[3].isdigit():
        days = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[int(words[3]) - 1]
        if int(words[2]) > days and words[4] == "*":
            return f"month {words[3]} has no day {words[2]}"
    return None


def _part_problem(part: str, field: str, low: int, high: int, names: tuple[str, ...]) -> str | None:
    match = _PART.fullmatch(part)
    if match is None:
        return f"{field} '{part}' cannot be read: write *, 5, 1-5, */15 or several with commas"
    _, first, last, step = match.groups()
    if step is not None and not 1 <= int(step) <= high:
        return f"{field} '{part}': a step is 1 to {high}"
    if step is not None and first is not None and last is None:
        return f"{field} '{part}': a step needs * or a range, as in {first}-{high}/{step}"
    numbers = [_number(word, low, names) for word in (first, last) if word is not None]
    for number, word in zip(numbers, (first, last), strict=False):
        if number is None or not low <= number <= high:
            known = f"; names are {', '.join(names)}" if names and number is None else ""
            return f"{field} {word} is not in {low} to {high}{known}"
    if len(numbers) == 2 and (numbers[0] or 0) > (numbers[1] or 0):
        return f"{field} '{part}': the range runs backwards"
    return None


def _number(word: str, low: int, names: tuple[str, ...]) -> int | None:
    if word.isdigit():
        return int(word)
    return names.index(word) + low if word in names else None
