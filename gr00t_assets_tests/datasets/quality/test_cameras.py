from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.datasets.quality.figures import Measure
from gr00t_assets_tests.datasets.quality.edits import STATE, measured, refilm, rewrite, warned

FPS = 20


def moving(rows: np.ndarray) -> np.ndarray:
    """A joint that moves in every row."""
    rows[:, 0] = np.linspace(-1, 1, len(rows))
    return rows


def test_a_camera_that_freezes(copied: Path) -> None:
    rewrite(copied, STATE, moving)
    refilm(copied, lambda frames: [*frames[:40], *[frames[40]] * 30, *frames[70:]])
    quality = measured(copied, filmed=True)
    (camera,) = quality.cameras
    assert [freeze.episode for freeze in camera.freezes] == [0, 1, 2, 3]
    for freeze in camera.freezes:
        # The codec changes a frame once more after it has come to rest.
        assert freeze.row in (40, 41)
        assert freeze.seconds == pytest.approx(29 / FPS, abs=4 / FPS)
    assert 27 / 131 < camera.frozen_share < 0.3
    assert {Measure.FREEZES, Measure.FROZEN} <= warned(quality)
    assert quality.scores[0].reasons[0].startswith("ego_view frozen for 1.")
    assert quality.scores[0].score <= 60


def test_a_scene_in_which_nothing_moves_is_not_frozen(copied: Path) -> None:
    rewrite(copied, STATE, lambda rows: rows * 0 + rows[:1] + (np.arange(len(rows)) > 99)[:, None])
    refilm(copied, lambda frames: [*[frames[0]] * 80, *frames[80:]])
    quality = measured(copied, filmed=True)
    assert quality.cameras[0].identical_share > 0.5
    assert quality.cameras[0].freezes == ()


def test_black_frames(copied: Path) -> None:
    refilm(copied, lambda frames: [f * (not 50 <= i < 63) for i, f in enumerate(frames)])
    quality = measured(copied, filmed=True)
    (camera,) = quality.cameras
    assert list(camera.black) == [0, 1, 2, 3]
    assert camera.black[0] == pytest.approx(13 / quality.lengths.rows[0])
    assert camera.frames == sum(quality.lengths.rows)
    assert Measure.BLACK in warned(quality)
    assert any("of ego_view is black (-40)" in text for text in quality.scores[2].reasons)


def test_a_large_dataset_is_looked_at_in_whole_episodes(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gr00t_assets.datasets.quality import thresholds

    monkeypatch.setattr(thresholds, "SCANNED_FRAMES", 300)
    quality = measured(good, filmed=True)
    rows = quality.lengths.rows
    assert quality.cameras[0].frames == rows[0] + rows[3]
