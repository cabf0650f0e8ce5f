"""A project with a dataset of N1.7, a base model of ours, and specs that NVIDIA's script trains."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.n17.architecture import TINY, N17Config
from gr00t_assets.trainers.native.base_models import save_model
from gr00t_assets.trainers.native.gr00t_n17 import Gr00tN17
from gr00t_assets.trainers.native.prompts import N17_PROMPT, PAD, byte_tokenizer
from gr00t_assets_tests.small_dataset import small_dataset

DATA_CONFIG = """\
generation: n1.7
video: [ego_view]
state:
  left_arm: {normalization: percentiles}
  right_hand: {normalization: percentiles}
action:
  left_arm: {rep: relative, normalization: min_max}
  right_hand: {normalization: percentiles}
language: annotation.human.action.task_description
action_indices: [0, 1, 2, 3, 4, 5, 6, 7]
"""
TEMPLATE = """\
{%- for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content %}{% if part.type == 'image' -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>
{% endfor %}"""


def small_config() -> N17Config:
    """The built-in ``tiny-n1.7`` in the words that NVIDIA's code needs."""
    spelled = {"positional_embeddings": None}
    return TINY.model_copy(
        update={
            "model_name": "nvidia/Cosmos-Reason2-2B",
            "state_dropout_prob": 0.2,
            "diffusion_model_cfg": {**TINY.diffusion_model_cfg, **spelled, "dropout": 0.1},
            "vl_self_attention_cfg": {**(TINY.vl_self_attention_cfg or {}), **spelled},
        }
    )


@dataclass
class N17Place:
    """A project folder with store and base model.

    Attributes:
        root: Of the project.
        store: With the dataset ``small``.
        base: Folder of the base model, which the native trainer saved.
        tag: Embodiment tag of the dataset.
    """

    root: Path
    store: Store
    base: Path
    tag: str = "new_embodiment"

    def spec(self, trainer: str = "isaac-gr00t", **settings: object) -> TrainingSpec:
        """A spec from hyperparameters."""
        base_model = str(settings.pop("base_model", self.base))
        workers = {"dataloader_num_workers": 2} if trainer == "isaac-gr00t" else {}
        values = {"batch_size": 2, "max_steps": 4, "save_steps": 2, "logging_steps": 1}
        values |= {"learning_rate": 1e-3, **workers, **settings}
        experiment = Experiment(
            name=f"{trainer}-run",
            sweep="small",
            dataset="small",
            trainer=trainer,
            base_model=base_model,
            hyperparameters=combined_hyperparameters().model_validate(values),
        )
        return make_spec(experiment, self.store)


def make_place(root: Path, tag: str = "new_embodiment") -> N17Place:
    """Make it; ``GR00T_ASSETS_ROOT`` has to be ``root``."""
    configs = root / "data" / "data_configs"
    configs.mkdir(parents=True)
    (root / "data" / "datasets.yaml").write_text("{}\n")
    (configs / "arms_n17.yaml").write_text(DATA_CONFIG)
    content = small_dataset(2, name="small", data_config="arms_n17") | {"embodiment_tag": tag}
    entry, store = CatalogEntry.model_validate(content), Store(root / "store")
    record = ingest_dataset(entry, store)
    config = build_modality_config(entry, store)
    dataset = LeRobotDataset.open(record.directory(store), record.name)
    cameras = [camera.original_key for camera in config.video]
    build_frame_cache(dataset, cameras, store.frame_cache(record.name, record.version))
    base, model = root / "base", small_config()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_model(Gr00tN17(model), base, data=[config])
    write_backbone(model, base / "backbone")
    return N17Place(root, store, base, tag)


def write_backbone(model: N17Config, folder: Path) -> None:
    """Tokenizer, template and image processor, as the Hub has them, with one token a byte."""
    folder.mkdir()
    byte_tokenizer(N17_PROMPT).save(folder)
    vision = model.qwen3_vl_config.vision_config
    sizes = {
        "patch_size": vision.patch_size,
        "merge_size": vision.spatial_merge_size,
        "temporal_patch_size": vision.temporal_patch_size,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": {"shortest_edge": model.min_pixels, "longest_edge": 16_777_216},
    }
    for name, content in {
        "tokenizer_config": {"tokenizer_class": "Qwen2TokenizerFast", "pad_token": PAD},
        "preprocessor_config": {"image_processor_type": "Qwen2VLImageProcessorFast", **sizes},
        "video_preprocessor_config": {"video_processor_type": "Qwen3VLVideoProcessor", **sizes},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
