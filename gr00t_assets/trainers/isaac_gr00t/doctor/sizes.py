"""What N1.5 takes of memory and disk, from its numbers of parameters and published figures."""

PARAMETERS = 2_414_000_000
"""Of the whole model."""

TRAINED = 1_069_000_000
"""Of the action head, which is what training changes with the backbone frozen."""

_BYTES = 4
"""Of a number in float32."""

WEIGHTS = PARAMETERS * _BYTES
"""Bytes of the weights in float32: 9.7 GB."""

CHECKPOINT = WEIGHTS + 2 * TRAINED * _BYTES
"""Bytes of a checkpoint with optimizer: the weights, and Adam's two moments of what is trained,
all in float32: 18.2 GB."""

LOADING = 2 * WEIGHTS
"""Bytes of host memory while a model is loaded: the new model and the weights read from disk."""

BATCH_1 = 25_000_000_000
"""Bytes of GPU memory at batch size 1, as published."""


def gigabytes(count: float) -> str:
    """Bytes in GB with what matters of the digits.

    Example:
        >>> gigabytes(CHECKPOINT), gigabytes(80e9)
        ('18.2 GB', '80 GB')
    """
    return f"{count / 1e9:.3g} GB"
