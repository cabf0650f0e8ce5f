"""NVIDIA's ``gr00t_finetune.py`` of N1.5, prepared by the launcher. Runs under its Python."""

import dataclasses
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launcher_checkpoints import Launch, check_gpus
from launcher_data import make_draws_repeatable, replace_reading
from launcher_recorder import Recorder, StopRequest, add_recorder, replaced_arguments

MODEL_PACKAGE = "gr00t.model"
BACKBONE_MODULE = "gr00t.model.backbone.eagle_backbone"


def prepare(launch: Launch, stop: StopRequest) -> tuple[Recorder, Callable[[], object]]:
    """Replace what the script hard-codes; the recorder, and what runs the script.

    The script is imported by its path and its ``main`` is called.
    """
    if launch["backbone"]:
        point_to_backbone(launch["checkout"], launch["backbone"])
    if launch["data_config_module"]:
        register_data_config(launch)
    script: Any = import_script(Path(launch["script"]))
    arguments = script_arguments(script.ArgsConfig, launch)
    check_gpus(arguments)
    script.TrainingArguments = replaced_arguments(script.TrainingArguments, launch)
    runner: Any = importlib.import_module("gr00t.experiment.runner")
    recorder = add_recorder(runner.DualBrainTrainer, launch, stop)
    # The recorder copies experiment_cfg into each checkpoint; the last one holds the final model.
    runner.safe_save_model_for_hf_trainer = lambda *args, **kwargs: None
    callback: Any = importlib.import_module("transformers").TrainerCallback
    runner.CheckpointFormatCallback = lambda *args, **kwargs: callback()
    allow_random_states()
    replace_reading(launch)
    make_draws_repeatable(launch["training_arguments"]["seed"])
    return recorder, lambda: script.main(script.ArgsConfig(**arguments))


def import_script(path: Path) -> types.ModuleType:
    """NVIDIA's script as a module; its ``__main__`` part, which chooses GPUs, is not run."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def register_data_config(launch: Launch) -> None:
    """Add the data config of the launch file to the checkout's, before the script reads them."""
    path = Path(launch["data_config_module"])
    sys.path.append(str(path.parent))
    module = importlib.import_module(path.stem)
    known: Any = importlib.import_module("gr00t.experiment.data_config").DATA_CONFIG_MAP
    known[launch["arguments"]["data_config"]] = getattr(module, launch["data_config_class"])()


def script_arguments(config: type, launch: Launch) -> dict[str, Any]:
    """Arguments for this commit's ``ArgsConfig``; unknown ones are left out."""
    fields = {field.name for field in dataclasses.fields(config)}
    requested = {**launch["arguments"], "resume": launch["resume_step"] > 0}
    if unknown := ", ".join(sorted(set(requested) - fields)):
        sys.stdout.write(f"arguments that this commit's script does not have: {unknown}\n")
        sys.stdout.flush()
    return {name: value for name, value in requested.items() if name in fields}


def allow_random_states() -> None:
    """Allow the types in ``rng_state.pth`` that the June release's resume is refused for."""
    import numpy as np
    import torch

    core = "numpy._core" if int(np.__version__.split(".")[0]) > 1 else "numpy.core"
    rebuild = importlib.import_module(f"{core}.multiarray")._reconstruct
    types_allowed = [rebuild, np.ndarray, np.dtype, type(np.dtype(np.uint32))]
    torch.serialization.add_safe_globals(types_allowed)


def point_to_backbone(checkout: str, folder: str) -> None:
    """Let the backbone and its processor be made from ``folder``.

    The path is a module's constant, read while ``gr00t.model`` is imported. So its module is
    imported first, with an empty package in place of ``gr00t.model``, whose own import follows.
    """
    package = types.ModuleType(MODEL_PACKAGE)
    package.__path__ = [str(Path(checkout) / "gr00t" / "model")]
    sys.modules[MODEL_PACKAGE] = package
    module: Any = importlib.import_module(BACKBONE_MODULE)
    module.DEFAULT_EAGLE_PATH = folder
    del sys.modules[MODEL_PACKAGE]
    whole: Any = importlib.import_module(MODEL_PACKAGE)
    whole.backbone = package.backbone  # type: ignore[attr-defined]
