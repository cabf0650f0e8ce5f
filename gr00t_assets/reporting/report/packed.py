"""Scripts and figures inside the page, compressed: a browser unpacks them by itself.

Plotly's whole JavaScript has 4.8 MB; gzipped and in base64 it has 2.0 MB. The smaller bundles that
Plotly's authors build are not in the Python package. ``DecompressionStream`` is in Chromium since
80, Safari since 16.4 and Firefox since 113, and works for a file opened from disk.
"""

import base64
import gzip
import json
from functools import lru_cache
from typing import Any


def packed(content: bytes) -> str:
    """Gzip in base64; the same bytes always give the same text.

    Example:
        >>> gzip.decompress(base64.b64decode(packed(b"loss"))).decode()
        'loss'
    """
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def packed_json(value: Any) -> str:
    """A value as JSON, packed.

    Raises:
        ValueError: A number in it is not finite; JSON has no word for it.
    """
    return packed(json.dumps(value, separators=(",", ":"), allow_nan=False).encode())


@lru_cache(maxsize=1)
def packed_plotly() -> str:
    """Plotly's JavaScript from the installed package, packed; about 2.0 MB."""
    from plotly.offline import get_plotlyjs

    return packed(get_plotlyjs().encode())
