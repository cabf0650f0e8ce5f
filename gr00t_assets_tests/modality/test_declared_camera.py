from gr00t_assets.datasets.fit.problems import declared_camera


def test_the_order_of_names_is_followed() -> None:
    found = declared_camera(
        "observation.images.front",
        {
            "shape": [3, 480, 640],
            "names": ["channels", "height", "width"],
            "info": {"video.fps": 30.0, "video.codec": "av1"},
        },
        20.0,
    )
    assert (found.height, found.width, found.fps, found.codec) == (480, 640, 30.0, "av1")


def test_without_names_the_shape_is_height_width_channels() -> None:
    found = declared_camera("front", {"shape": [480, 640, 3], "names": None}, 20.0)
    assert (found.height, found.width, found.fps, found.codec) == (480, 640, 20.0, "unknown")
