"""Names that Dagster can carry as partition keys and that stay inside the store as folders."""

import difflib
import re
from collections.abc import Iterable
from zoneinfo import available_timezones

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
MAX_LENGTH = 120


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
    if not _NAME.fullmatch(name):
        return f"name '{name}' begins with a dot"
    return None


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
