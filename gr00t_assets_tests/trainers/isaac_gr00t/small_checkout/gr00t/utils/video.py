"""Frames of a video by their time."""

import av
import numpy as np

from gr00t.release import JUNE


def get_frames_by_timestamps(video_path, timestamps, video_backend="decord"):
    """The frames nearest to some times, (T, H, W, 3); in June ``torchvision_av`` is wrong."""
    if video_backend == "torchvision_av" and JUNE:
        return _key_frames(video_path, timestamps)
    with av.open(str(video_path)) as container:
        frames = list(container.decode(video=0))
    shown = np.array([frame.time for frame in frames])
    nearest = np.abs(shown[:, None] - timestamps).argmin(axis=0)
    return np.stack([frames[row].to_ndarray(format="rgb24") for row in nearest])


def _key_frames(video_path, timestamps):
    """Seeks to the key frame before the first time and stops after as many frames as were asked."""
    with av.open(str(video_path)) as container:
        stream = container.streams.video[0]
        container.seek(int(timestamps[0] / stream.time_base), stream=stream, backward=True)
        loaded_frames = []
        for frame in container.decode(stream):
            loaded_frames.append(frame.to_ndarray(format="rgb24"))
            if len(loaded_frames) >= len(timestamps):
                break
        return np.stack(loaded_frames)
