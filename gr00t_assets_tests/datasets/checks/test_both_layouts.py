"""Every structural fault is found in either layout."""

from pathlib import Path

import pytest

from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets_tests.datasets.checks.both_layouts import LAYOUTS, STRUCTURAL_FAULTS, spoil

CONFIG = "fourier_gr1_arms_only"


def codes(folder: Path) -> set[str]:
    return {item.code for item in check_dataset(folder, CONFIG)}


def test_the_good_dataset_has_the_same_findings_in_both(good: Path, tmp_path: Path) -> None:
    folders = spoil(good, tmp_path / "spoilt", None)
    assert [codes(folders[layout]) for layout in LAYOUTS] == [{"constant-action"}] * 2


@pytest.mark.parametrize("fault", STRUCTURAL_FAULTS)
def test_a_fault_is_found_in_both(fault: str, good: Path, tmp_path: Path) -> None:
    folders = spoil(good, tmp_path / "spoilt", fault)
    for layout in LAYOUTS:
        assert codes(folders[layout]) - {"constant-action"}, layout
