"""Fixtures of the trainers' tests, for runs that are trained here."""

from gr00t_assets_tests.comparison.conftest import store
from gr00t_assets_tests.trainers.conftest import small_data, spec_of

__all__ = ["small_data", "spec_of", "store"]
