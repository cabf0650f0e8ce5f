"""Bytes for people."""


def in_units(size: float) -> str:
    """Bytes in thousands, with the unit.

    Example:
        >>> in_units(0), in_units(1_234), in_units(18_200_000_000)
        ('0 B', '1.2 kB', '18.2 GB')
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size:.0f} B"
