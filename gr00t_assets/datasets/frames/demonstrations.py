"""Every row of a dataset as a model is fed it; its frames are read when they are asked for."""

from typing import Literal

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.frames.frame_cache import FrameCache, PreparedFrames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.observation import DEFAULT_INSTRUCTION
from gr00t_assets.modality.transforms import StateActionTransform

Part = Literal["all", "train", "held_out"]
"""Which episodes: all, those to train on, or those that are kept from training."""


class Demonstrations:
    """Rows of a dataset, numbered from 0 over the chosen episodes in their order.

    Each episode's file is read once, here. State and action of every row are transformed here too
    and kept as float32; an action chunk is cut when a batch asks for it, and made relative then.

    Attributes:
        episodes: Index of the episode of each row, ``(rows,)``.
        lengths: Rows of each episode, in their order.
        tasks: Instruction of each row, as an index into ``instructions``, ``(rows,)``.
        instructions: Every instruction once.

    Examples:
        >>> def first_actions(dataset, config, directory):
        ...     data = Demonstrations(dataset, FrameCache.open(directory), config, "held_out")
        ...     return data.actions(data.rows()[:8])  # (8, 16, 32)
    """

    def __init__(
        self,
        dataset: LeRobotDataset,
        source: FrameCache | PreparedFrames,
        config: ModalityConfig,
        part: Part = "all",
    ) -> None:
        self.config, self._source = config, source
        self._transform = StateActionTransform(config)
        if len({(camera.height, camera.width) for camera in config.video}) > 1:
            problem = "its cameras have different resolutions; one crop cannot serve them."
            sizes = [f"{camera.key}: {camera.height}x{camera.width}" for camera in config.video]
            raise DatasetError(config.dataset, problem, sizes)
        columns = [*self._transform.state_columns, *self._transform.action_columns, "timestamp"]
        columns += [] if config.language is None else [config.language]
        numbers: dict[str, int] = {}
        states, actions, tasks = [], [], []
        frame_rows: list[list[np.ndarray]] = [[] for _ in config.video]
        indices = chosen_episodes(dataset, config, part)
        for index in indices:
            vectors = dataset.vectors(index, columns)
            states.append(self._transform.states(vectors).astype(np.float32))
            actions.append(self._transform.actions(vectors).astype(np.float32))
            timestamps = vectors["timestamp"][:, 0].astype(np.float64)
            for rows, camera in zip(frame_rows, config.video, strict=True):
                rows.append(source.rows(index, camera.original_key, timestamps))
            texts = [DEFAULT_INSTRUCTION] * len(timestamps)
            if config.language is not None:
                texts = [dataset.tasks[int(n)] for n in vectors[config.language].reshape(-1)]
            tasks += [numbers.setdefault(text, len(numbers)) for text in texts]
        self.lengths = lengths = [len(episode) for episode in actions]
        self.instructions = list(numbers)
        self.tasks = np.asarray(tasks)
        self.episodes = np.repeat(indices, lengths)
        self._states = np.concatenate(states)
        self._actions = actions
        self._frame_rows = [np.concatenate(rows) for rows in frame_rows]
        self._number = np.repeat(np.arange(len(lengths)), lengths)
        self._row_in_episode = np.concatenate([np.arange(length) for length in lengths])

    def __len__(self) -> int:
        return len(self.tasks)

    def rows(self, episode: int | None = None) -> np.ndarray:
        """The numbers of all rows, or of one episode's, shape ``(n,)``."""
        every = np.arange(len(self))
        return every if episode is None else every[self.episodes == episode]

    def states(self, rows: np.ndarray) -> np.ndarray:
        """States of some rows, shape ``(rows, 1, max_state_dim)``, float32."""
        return self._states[rows][:, None]

    def actions(self, rows: np.ndarray) -> np.ndarray:
        """Action chunks of some rows, shape ``(rows, horizon, max_action_dim)``, float32."""
        numbers, places = self._number[rows], self._row_in_episode[rows]
        width = self.config.max_action_dim
        chunks = np.empty((len(rows), self._transform.horizon, width), np.float32)
        for number in np.unique(numbers):
            of_episode = numbers == number
            chunks[of_episode] = self._transform.chunks(self._actions[number], places[of_episode])
        return chunks

    def anchors(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What relative actions of some rows are against, ``(rows, numbers)`` in units, by key."""
        numbers, places = self._number[rows], self._row_in_episode[rows]
        parts = [
            self._transform.anchors(self._actions[number], [place])
            for number, place in zip(numbers, places, strict=True)
        ]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def action_mask(self, count: int) -> np.ndarray:
        """Which of the numbers are action and not padding, shape ``(count, horizon, max)``."""
        mask = self._transform.action_mask
        return np.broadcast_to(mask, (count, *mask.shape)).copy()

    def texts(self, rows: np.ndarray) -> list[str]:
        """The instruction of each of some rows."""
        return [self.instructions[task] for task in self.tasks[rows]]

    def frames(self, rows: np.ndarray) -> np.ndarray:
        """Frames of some rows, shape ``(rows, cameras, height, width, 3)``, uint8."""
        cameras = [
            self._source.frames(camera.original_key, frame_rows[rows])
            for camera, frame_rows in zip(self.config.video, self._frame_rows, strict=True)
        ]
        return cameras[0][:, None] if len(cameras) == 1 else np.stack(cameras, axis=1)


def chosen_episodes(dataset: LeRobotDataset, config: ModalityConfig, part: Part) -> list[int]:
    """Indices of the episodes of a part; DatasetError where there are none."""
    held_out = set(config.held_out_episodes)
    indices = [
        episode.index
        for episode in dataset.episodes
        if part == "all" or (episode.index in held_out) == (part == "held_out")
    ]
    if not indices:
        problem = {
            "held_out": "no episodes of it are kept from training.",
            "train": "none of its episodes is left to train on.",
        }.get(part, "it has no episodes.")
        details = ["set held_out of this dataset in data/datasets.yaml"] if part != "all" else []
        raise DatasetError(config.dataset, problem, details)
    return indices
