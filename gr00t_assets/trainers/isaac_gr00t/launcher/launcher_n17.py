"""NVIDIA's ``launch_finetune.py`` of N1.7, prepared by the launcher. Runs under its Python.

What is replaced of its data loading, and why, stands in docs/isaac-gr00t.md. What is drawn for a
sample, as its crop, follows from the run's seed and its place in the order, so that a resumed run
goes on as one that never stopped.
"""

import functools
import importlib
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from launcher_checkpoints import Launch, RefusedError, check_gpus
from launcher_data import cached_cameras, drawn_from
from launcher_recorder import Recorder, StopRequest, add_recorder, replaced_arguments

EPISODES = 256  # episodes whose rows a process keeps, without their frames


def prepare(launch: Launch, stop: StopRequest) -> tuple[Recorder, Callable[[], object]]:
    """Replace what the script hard-codes; the recorder, and what runs the script.

    Everything of the script stands under its ``__main__``, so that it is run as such.
    """
    arguments = launch["arguments"]
    config = importlib.import_module("gr00t.configs.finetune_config").FinetuneConfig
    known = config.__dataclass_fields__.keys()
    if missing := sorted({*arguments, "resume_from_checkpoint"} - known):
        raise RefusedError(
            f"this commit's launch_finetune.py has no {', '.join(missing)}\n"
            "  check out the commit that gr00t-assets isaac setup takes"
        )
    check_gpus(arguments)
    point_to_backbone(launch["backbone"])
    # Room for the run's modality config where the checkout has one for the tag.
    embodiments: Any = importlib.import_module("gr00t.configs.data.embodiment_configs")
    embodiments.MODALITY_CONFIGS.pop(launch["tag"], None)
    experiment: Any = importlib.import_module("gr00t.experiment.experiment")
    transformers: Any = importlib.import_module("transformers")
    launch["training_arguments"]["ddp_find_unused_parameters"] = arguments["tune_llm"]
    experiment.TrainingArguments = replaced_arguments(experiment.TrainingArguments, launch)
    trainer, run = experiment.Gr00tTrainer, experiment.run
    recorder = add_recorder(trainer, launch, stop)
    # The recorder copies what these would into each checkpoint; the last holds the final model.
    experiment.CheckpointFormatCallback = lambda **keywords: transformers.TrainerCallback()
    save_model = trainer.save_model
    trainer.save_model = lambda self, folder=None, _internal_call=False: (
        save_model(self, folder, _internal_call) if _internal_call else None
    )
    loader = trainer.get_train_dataloader

    def seeded_loader(self: Any) -> Any:
        # Of its own generator, so that a resume leaves that of noise and times as it was saved.
        import torch

        data = loader(self)
        data.generator = torch.Generator().manual_seed(self.args.seed)
        return data

    def run_configured(config: Any) -> None:
        config.data.seed = launch["training_arguments"]["seed"]
        # Without DeepSpeed, whose checkpoints are of other files for each number of GPUs. The norm
        # of a text tower that is trained has no gradient, which DDP has to be told.
        config.training.use_ddp = True
        run(config)

    trainer.get_train_dataloader, experiment.run = seeded_loader, run_configured
    replace_reading(launch)
    resume = ["--resume-from-checkpoint"] if launch["resume_step"] else []
    sys.argv = [launch["script"], *launch["flags"], *resume]
    return recorder, lambda: runpy.run_path(launch["script"], run_name="__main__")


def point_to_backbone(folder: str) -> None:
    """Make the towers of the sizes in ``folder``, and prompts by its tokenizer and processor.

    The script names a gated repository of the Hub, and loads its weights only to replace them.
    """
    backbone: Any = importlib.import_module("gr00t.model.modules.qwen3_backbone")
    processing: Any = importlib.import_module("gr00t.model.gr00t_n1d7.processing_gr00t_n1d7")
    towers, build = backbone.Qwen3VLForConditionalGeneration, processing.build_processor

    class Towers:
        @staticmethod
        def from_pretrained(name: str, torch_dtype: Any = None, **keywords: Any) -> Any:
            chosen = {key: keywords[key] for key in ("attn_implementation",) if key in keywords}
            config = towers.config_class.from_pretrained(folder)
            return towers._from_config(config, torch_dtype=torch_dtype, **chosen)

    backbone.Qwen3VLForConditionalGeneration = Towers
    processing.build_processor = lambda name, keywords: build(folder, {})


def replace_reading(launch: Launch) -> None:
    """Replace what is read of the datasets, and the iteration over samples; see the module."""
    factory: Any = importlib.import_module("gr00t.data.dataset.factory")
    loading: Any = importlib.import_module("gr00t.data.dataset.lerobot_episode_loader")
    mixing: Any = importlib.import_module("gr00t.data.dataset.sharded_mixture_dataset")
    loader, mixture = loading.LeRobotEpisodeLoader, mixing.ShardedMixtureDataset
    read_meta, initialize = loader._load_metadata, mixture.__init__

    def load_metadata(self: Any) -> None:
        read_meta(self)
        left_out = set(launch["datasets"][str(self.dataset_path)]["held_out_episodes"])
        episodes = self.episodes_metadata
        self.episodes_metadata = [e for e in episodes if int(e["episode_index"]) not in left_out]

    def open_mixture(self: Any, datasets: list[Any], weights: Any, **keywords: Any) -> None:
        # NVIDIA weighs by the number of shards, which is no whole multiple of the rows.
        shares = [launch["shares"][str(item.dataset_path)] for item in datasets]
        keywords["processor"].embodiment_id_mapping[launch["tag"]] = launch["embodiment_id"]
        initialize(self, datasets=datasets, weights=shares, **keywords)

    factory.generate_stats = factory.generate_rel_stats = lambda *args, **keywords: None
    loader._load_metadata = load_metadata
    loader._load_video_data = lambda self, episode, indices: {}
    loader.get_dataset_statistics = lambda self: launch["statistics"]
    mixture.__init__ = open_mixture
    mixture.__iter__ = lambda self: samples(self, launch)
    # The trainer seeds anew at a resume, with which the order would be another.
    mixture.reset_seed = lambda self, seed: None


def samples(mixture: Any, launch: Launch) -> Iterator[Any]:
    """The samples of one loader process, from the batch on that training goes on at."""
    import torch

    info = torch.utils.data.get_worker_info()
    workers, number = (info.num_workers, info.id) if info else (1, 0)
    arguments, seed = launch["arguments"], launch["training_arguments"]["seed"]
    before = launch["resume_step"] * arguments["gradient_accumulation_steps"]
    # Processes of the loader take turns, a batch each, and the first of them begins.
    worker = (number + before) % workers
    done = len(range(worker, before, workers))
    done *= arguments["global_batch_size"] // arguments["num_gpus"]
    place, places = mixture.rank * workers + worker, mixture.world_size * workers
    read, drawn = Reader(launch), 0
    # NVIDIA's processes draw one order: with few shards each batch comes several times.
    random_order = np.random.default_rng([seed, place])
    while True:
        for index, shard in mixture.shard_sampling_schedule[place::places]:
            dataset = mixture.datasets[index]
            order = np.arange(dataset.get_shard_length(shard))
            random_order.shuffle(order)
            rows = [(e, int(row)) for e, steps in dataset.sharded_episodes[shard] for row in steps]
            for at in order:
                drawn += 1
                if drawn > done:
                    with drawn_from([seed, place, drawn]):
                        sample = read.sample(dataset, *rows[at])
                    yield sample
        mixture.epoch += 1
        mixture.shard_sampling_schedule = mixture.generate_shard_sampling_schedule()


class Reader:
    """Reads samples of the checkout's datasets, with frames from the frame cache."""

    def __init__(self, launch: Launch) -> None:
        module = "gr00t.data.dataset.sharded_single_step_dataset"
        self._single: Any = importlib.import_module(module)
        self._cameras = cached_cameras(launch)
        self._episode = functools.lru_cache(maxsize=EPISODES)(read_episode)

    def sample(self, dataset: Any, episode: int, row: int) -> Any:
        """What the processor makes of a row of an episode."""
        number, table, times = self._episode(dataset.episode_loader, episode)
        configs = dict(dataset.modality_configs)
        video = configs.pop("video")
        content = self._single.extract_step_data(
            table, row, configs, dataset.embodiment_tag, dataset.allow_padding
        )
        cameras = self._cameras[str(dataset.dataset_path)]
        seen = times[np.clip(row + np.array(video.delta_indices), 0, len(times) - 1)]
        images = {key: list(cameras[key].nearest(number, seen)) for key in video.modality_keys}
        content.images = images
        kind = self._single.MessageType.EPISODE_STEP.value
        return dataset.processor([{"type": kind, "content": content}])


def read_episode(loader: Any, place: int) -> tuple[int, Any, np.ndarray]:
    """Number, rows, and timestamps in seconds of the episode at a place among those trained on."""
    import pandas as pd

    number = int(loader.episodes_metadata[place]["episode_index"])
    chunk = number // loader.chunk_size
    file = loader.data_path_pattern.format(episode_chunk=chunk, episode_index=number)
    times = pd.read_parquet(Path(loader.dataset_path) / file, columns=["timestamp"])
    return number, loader[place], times["timestamp"].to_numpy(np.float64)
