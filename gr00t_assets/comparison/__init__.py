"""Which run is best, what a hyperparameter does, what is known of either, and what to run next."""

from gr00t_assets.comparison.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
