"""The model."""

from .gr00t_n1 import GR00T_N1_5  # noqa: F401
from .transforms import GR00TTransform  # noqa: F401
