"""Runs NVIDIA's ``gr00t_finetune.py`` as a launch file says: ``python launcher.py LAUNCH.json``.

This file and the ``launcher_*.py`` beside it run under the checkout's Python 3.10, where this
package is not installed: they need the standard library and what the checkout has. The script is
imported by its path and its ``main`` is called; what the script hard-codes is replaced in the
imported modules, and nothing in the checkout is changed. For several GPUs ``torchrun`` starts it.

Ends with 0 when ``max_steps`` are done, 130 after a request to stop, 1 after an error. Under
``torchrun``, which would call 130 a failure, a request to stop ends with 0 too.
"""

import dataclasses
import importlib
import importlib.util
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

from launcher_checkpoints import RefusedError, check_start
from launcher_data import make_draws_repeatable, replace_reading
from launcher_recorder import Recorder, StoppedError, StopRequest, record_losses

Launch = dict[str, Any]
"""The launch file, as ``make_launch`` of ``launch_file.py`` makes it."""

MODEL_PACKAGE = "gr00t.model"
BACKBONE_MODULE = "gr00t.model.backbone.eagle_backbone"


def main(arguments: list[str]) -> int:
    """Train; returns the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python launcher.py LAUNCH.json\n")
        return 2
    launch = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    stop = StopRequest(Path(launch["stop_file"]))
    try:
        finished = train(launch, stop)
    except RefusedError as error:
        sys.stderr.write(f"Refusal: {error}\n")
        return 1
    return 0 if finished or "TORCHELASTIC_RUN_ID" in os.environ else 130


def train(launch: Launch, stop: StopRequest) -> bool:
    """Train to ``max_steps``; False where it stopped before, on request.

    Raises:
        RefusedError: The launch file does not fit what is there.
    """
    check_start(launch)
    # In place of this folder, whose other files must not be taken for modules of the checkout.
    sys.path[0] = launch["checkout"]
    if launch["backbone"]:
        point_to_backbone(launch["checkout"], launch["backbone"])
    if launch.get("data_config_module"):
        register_data_config(launch)
    script: Any = import_script(Path(launch["script"]))
    arguments = script_arguments(script.ArgsConfig, launch)
    check_gpus(arguments)
    script.TrainingArguments = replaced_arguments(script.TrainingArguments, launch)
    recorder = prepare_runner(launch, stop)
    seed = launch["training_arguments"].get("seed", 42)
    replace_reading(launch)
    make_draws_repeatable(seed)
    # The runner seeds only once the model is built, so that its new parts would differ.
    importlib.import_module("transformers").set_seed(seed)
    try:
        script.main(script.ArgsConfig(**arguments))
    except StoppedError:
        return False
    finally:
        recorder.write_facts()
    return not recorder.stopped


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
    unknown = sorted(set(requested) - fields)
    if unknown:
        names = ", ".join(unknown)
        sys.stdout.write(f"arguments that this commit's script does not have: {names}\n")
        sys.stdout.flush()
    arguments = {name: value for name, value in requested.items() if name in fields}
    base = Path(arguments["base_model_path"])
    if base.is_dir():
        # The script takes a relative path for a Hub id.
        arguments["base_model_path"] = str(base.absolute())
    return arguments


def check_gpus(arguments: dict[str, Any]) -> None:
    """Refuse a number of GPUs with which transformers would train in another way than asked.

    With several visible GPUs and one process it would split each batch over them.

    Raises:
        RefusedError: The visible GPUs, or the processes started, are not as many as asked for.
    """
    import torch

    gpus, processes = arguments["num_gpus"], int(os.environ.get("WORLD_SIZE", "1"))
    visible = torch.cuda.device_count()
    if processes != gpus or (visible and visible != gpus):
        raise RefusedError(
            f"training asks for {gpus} GPUs; {visible} are in sight and {processes} processes run\n"
            f"  set CUDA_VISIBLE_DEVICES to {gpus} of them; for more than one start it with "
            f"torchrun --standalone --nproc_per_node={gpus}"
        )


def replaced_arguments(original: Any, launch: Launch) -> Any:
    """What the script calls in place of ``TrainingArguments``."""

    def training_arguments(**keywords: Any) -> Any:
        import torch

        settings = {**keywords, **launch["training_arguments"]}
        # The driver reports to Weights & Biases, and deletes old checkpoints once a new one is
        # complete.
        settings.update(report_to="none", save_total_limit=None, save_strategy="steps")
        if not torch.cuda.is_available():
            settings.pop("tf32", None)
        if not settings.get("dataloader_num_workers"):
            settings.update(dataloader_prefetch_factor=None, dataloader_persistent_workers=False)
        return original(**settings)

    return training_arguments


def prepare_runner(launch: Launch, stop: StopRequest) -> Any:
    """Add a recorder to transformers' trainer, and switch off what it replaces."""
    import numpy as np
    import torch
    from transformers import TrainerCallback

    trainer: Any = importlib.import_module("transformers.trainer")
    runner: Any = importlib.import_module("gr00t.experiment.runner")
    recorder = type("LauncherCallback", (Recorder, TrainerCallback), {})(launch, stop)
    record_losses(runner.DualBrainTrainer, recorder)
    trainer.DEFAULT_CALLBACKS.append(recorder)
    # The driver prints the metrics.
    trainer.PrinterCallback = TrainerCallback
    # The recorder copies experiment_cfg into each checkpoint; the last one holds the final model.
    runner.safe_save_model_for_hf_trainer = lambda *args, **kwargs: None
    runner.CheckpointFormatCallback = lambda *args, **kwargs: TrainerCallback()
    # Types in rng_state.pth that the June release's resume is refused for.
    core = "numpy._core" if int(np.__version__.split(".")[0]) > 1 else "numpy.core"
    rebuild = importlib.import_module(f"{core}.multiarray")._reconstruct
    types_allowed = [rebuild, np.ndarray, np.dtype, type(np.dtype(np.uint32))]
    torch.serialization.add_safe_globals(types_allowed)
    return recorder


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
