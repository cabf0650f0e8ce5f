import json
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.statistics import ColumnStatistics, array_statistics


@pytest.mark.parametrize("column", ["observation.state", "action"])
def test_statistics_are_those_that_nvidia_shipped(demo_dataset: Path, column: str) -> None:
    shipped = json.loads((demo_dataset / "meta" / "stats.json").read_text())[column]
    found = ColumnStatistics(LeRobotDataset.open(demo_dataset)).computed(column)
    for name in ("min", "max", "mean", "std", "q01", "q99"):
        np.testing.assert_allclose(found[name], shipped[name], rtol=2e-5, atol=1e-6, err_msg=name)


def test_deviation_is_the_populations_and_quantiles_are_interpolated() -> None:
    found = array_statistics(np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]]))
    assert np.asarray(found["std"]).tolist() == pytest.approx([np.sqrt(2 / 3), 0.0])
    assert np.asarray(found["q01"]).tolist() == pytest.approx([0.02, 5.0])
    assert np.asarray(found["max"]).tolist() == [2.0, 5.0]
