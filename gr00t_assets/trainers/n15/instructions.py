"""Instructions of a dataset that would be more than words in N1.5's prompt, before it trains."""

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import short
from gr00t_assets.datasets.frames.demonstrations import chosen_episodes
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.observation import special_tokens
from gr00t_assets.runs.training_data import RunDataset

_ESCAPE = (
    "write special_tokens: escape below tasks in its entry of data/datasets.yaml, and materialise "
    "the dataset again"
)


def instruction_error(
    dataset: str, episode: int, task: str, found: str, remedy: str = _ESCAPE
) -> DatasetError:
    """What is wrong with an instruction of a dataset, with the first episode that has it."""
    details = [f"task {short(task)} of episode {episode}: {found}", remedy]
    return DatasetError(dataset, "an instruction cannot be put into the prompt.", details)


def refuse_special_tokens(run_dataset: RunDataset) -> None:
    """Refuse a dataset that would be trained on with special tokens in an instruction.

    Rows are read only where the list of tasks has such an instruction.

    Raises:
        DatasetError: One of its episodes to train on has it, or the dataset is not there.
    """
    config = run_dataset.config
    dataset = LeRobotDataset.open(run_dataset.directory, run_dataset.name)
    special = {n: tokens for n, task in dataset.tasks.items() if (tokens := special_tokens(task))}
    if not special or config.language is None:
        return
    for episode in chosen_episodes(dataset, config, "train"):
        column = dataset.vectors(episode, [config.language])[config.language]
        for number in np.unique(column).astype(int).tolist():
            if number in special:
                found = f"{', '.join(special[number])}, which the tokenizer takes for no words"
                task = dataset.tasks[number]
                raise instruction_error(run_dataset.name, episode, task, found)
