"""What the launcher does to the script of every generation. Runs under the checkout's Python."""

import importlib
import os
from typing import Any

from launcher_checkpoints import RefusedError
from launcher_recorder import Recorder, StopRequest


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


def replaced_arguments(original: Any, launch: dict[str, Any]) -> Any:
    """What the script calls in place of ``TrainingArguments``."""

    def training_arguments(**keywords: Any) -> Any:
        import torch

        settings = {**keywords, **launch["training_arguments"]}
        # The driver reports to Weights & Biases, and deletes old checkpoints once a new one is
        # complete.
        settings.update(report_to="none", save_total_limit=None, save_strategy="steps")
        if not torch.cuda.is_available():
            settings.pop("tf32", None)
            settings["use_cpu"] = True
        if not settings.get("dataloader_num_workers"):
            settings.update(dataloader_prefetch_factor=None, dataloader_persistent_workers=False)
        return original(**settings)

    return training_arguments


def add_recorder(trainer: Any, launch: dict[str, Any], stop: StopRequest) -> Recorder:
    """Have a recorder follow the checkout's trainer class, in place of transformers' printing."""
    from transformers import TrainerCallback

    module: Any = importlib.import_module("transformers.trainer")
    recorder = type("LauncherCallback", (Recorder, TrainerCallback), {})(launch, stop)
    record_losses(trainer, recorder)
    module.DEFAULT_CALLBACKS.append(recorder)
    # The driver prints the metrics.
    module.PrinterCallback = TrainerCallback
    return recorder


def record_losses(trainer: Any, recorder: Recorder) -> None:
    """Have every training loss that ``trainer`` computes recorded."""
    compute = trainer.compute_loss

    def compute_loss(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        result = compute(self, model, inputs, *args, **kwargs)
        loss = result[0] if isinstance(result, tuple) else result
        recorder.batch_done(loss, len(inputs.get("inputs", inputs)["action"]))
        return result

    trainer.compute_loss = compute_loss
