"""Numbers for people: bytes, time spans, and settings as a sweep file has them."""


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
