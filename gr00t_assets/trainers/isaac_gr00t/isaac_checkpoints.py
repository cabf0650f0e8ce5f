"""Checkpoints of Isaac-GR00T's trainer: which may be resumed, their size, the published model.

The launcher writes ``complete.json`` into a checkpoint when every file of it is on the disk. One
without it was cut short; Isaac-GR00T would resume from it all the same, since it takes the folder
with the highest number.
"""

import json
import math
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import write_json
from gr00t_assets.modality.data_config import is_built_in
from gr00t_assets.runs.checkpoint_layout import CheckpointLayout
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.data_config_module import write_module
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.n17.processor_files import EMBODIMENTS, SETTINGS, STATISTICS
from gr00t_assets.trainers.run_files import CheckpointRecord, latest_record

LAYOUT = CheckpointLayout(
    prefix="checkpoint",
    digits=1,
    training_files=r"optimizer\.(?:safetensors|pt|bin)|rng_state[\w-]*\.pth|scheduler\.pt",
)
"""``checkpoints/checkpoint-200`` for step 200, as transformers' trainer names it."""

MERGED = "merged"  # folder of the whole model of a LoRA run, whose checkpoints hold adapters only

TOKENIZER_FILES = (
    "tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json",
    "tokenizer_config.json",
)  # fmt: skip

_FUTURE_TOKENS = "action_head.future_tokens.weight"

_BYTES_PER_NUMBER, _MOMENTS = 4, 2  # weights and AdamW's two moments are saved in float32


def latest_checkpoint(spec: TrainingSpec) -> CheckpointRecord | None:
    """The newest complete checkpoint; ``None`` where there is none.

    Raises:
        CheckpointError: It belongs to another run, or its files are not what was written.
    """
    latest = latest_record(spec.run_directory, spec.config_hash, LAYOUT)
    return latest[1] if latest else None


def sizes_on_disk(
    base_model: Path, settings: IsaacHyperparameters, parts: Mapping[str, tuple[str, ...]]
) -> tuple[int, int]:
    """Bytes of one checkpoint with its optimizer state, and of the final model beside it.

    The final model shares the files of the last checkpoint, except with LoRA, whose checkpoints
    hold adapters only. Both are 0 where the base model's weights are no safetensors. ``parts`` are
    the generation's.
    """
    sizes = _tensor_sizes(base_model)
    weights = sum(sizes.values()) * _BYTES_PER_NUMBER
    if settings.lora_rank:
        return 0, weights
    begins: list[str] = []
    if settings.tune_projector or settings.tune_diffusion_model:
        begins.append("action_head.")
    begins += parts["llm"] if settings.tune_llm else ()
    begins += parts["visual"] if settings.tune_visual else ()
    moments = sum(count for name, count in sizes.items() if name.startswith(tuple(begins)))
    return weights + _MOMENTS * moments * _BYTES_PER_NUMBER, 0


def _tensor_sizes(folder: Path) -> dict[str, int]:
    """Elements of each tensor by name, read from the headers alone."""
    from safetensors import SafetensorError, safe_open

    sizes: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with suppress(SafetensorError, OSError), safe_open(path, framework="numpy") as file:
            names = file.keys()
            sizes |= {name: math.prod(file.get_slice(name).get_shape()) for name in names}
    return sizes


def write_model(source: Path, spec: TrainingSpec, tokenizer: Path, model: Path) -> None:
    """Write what a policy reads of a checkpoint into a folder, without what only training needs.

    Weights are hard-linked where the file system can, so that they outlive their checkpoint.
    ``tokenizer`` is the folder of the one that made the prompts.

    Raises:
        CheckpointError: It has no weights of a whole model.
    """
    files = sorted(source.glob("*.safetensors"))
    weights = [path for path in files if not LAYOUT.is_training_file(path.name)]
    if not weights or not (source / "config.json").is_file():
        expected = "expected config.json and safetensors"
        remedy = "move the run directory away and train again"
        raise CheckpointError(str(source), "it holds no model.", [expected, remedy])
    for path in weights:
        try:
            os.link(path, model / path.name)
        except OSError:
            shutil.copyfile(path, model / path.name)
    copied = [tokenizer / name for name in TOKENIZER_FILES]
    copied += [source / name for name in (SETTINGS, STATISTICS, EMBODIMENTS)]
    for path in (*source.glob("*.index.json"), *filter(Path.is_file, copied)):
        shutil.copyfile(path, model / path.name)
    content = json.loads((source / "config.json").read_text(encoding="utf-8"))
    head = content.get("action_head_cfg", {})
    if head.get("num_target_vision_tokens") and _FUTURE_TOKENS not in _tensor_sizes(source):
        # June's script drops them from the model but not from its configuration, with which a
        # later commit would draw new ones at random.
        head["num_target_vision_tokens"] = 0
    write_json(model / "config.json", content)
    config = spec.modality_config
    if config.generation == "n1.5" and not is_built_in(config.data_config):
        write_module(config, model)


def export(checkpoint: Path, spec: TrainingSpec, model: Path) -> None:
    """Write a checkpoint into a folder, as ``model`` of a finished run has the last one.

    The tokenizer is that of the finished run, or else of the launch.

    Raises:
        CheckpointError: It is of a LoRA run, or its tokenizer is not there any more.
    """
    from gr00t_assets.trainers.isaac_gr00t.launch_file import FOLDER, LAUNCH  # pyarrow

    if IsaacHyperparameters.of(spec.experiment).lora_rank:
        problem = "checkpoints of a LoRA run hold adapters alone, which are not opened here."
        raise CheckpointError(str(checkpoint), problem, ["its final weights are merged: take them"])
    run = checkpoint.absolute().parent.parent
    tokenizer = run / MODEL
    if not tokenizer.is_dir():
        environment = IsaacEnvironment.from_environment(spec.modality_config.generation)
        try:
            launch = json.loads((run / FOLDER / LAUNCH).read_text(encoding="utf-8"))
            tokenizer = Path(launch["backbone"] or environment.backbone)
        except (OSError, ValueError, LookupError) as error:
            problem = "its tokenizer is not known: the run's launch file cannot be read."
            raise CheckpointError(str(checkpoint), problem, [str(error)]) from error
    write_model(checkpoint, spec, tokenizer, model)
