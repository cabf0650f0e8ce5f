"""Runs as a W&B server has them: those of Isaac-GR00T's script, and one of this package."""

from typing import Any

from gr00t_assets_tests.comparison.run_factory import losses
from gr00t_assets_tests.comparison.tables.wandb_public_server import HostedRun

TRAINING_ARGUMENTS = {
    "learning_rate": 5e-4,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "max_steps": 200,
    "warmup_ratio": 0.01,
    "weight_decay": 0.0,
    "lr_scheduler_type": "cosine",
    "seed": 42,
    "save_steps": 100,
    "save_total_limit": 8,
    "logging_steps": 10,
    "adam_beta1": 0.95,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "max_grad_norm": 1.0,
    "dataloader_num_workers": 4,
    "num_train_epochs": 300,
    "run_name": "out",
    "output_dir": "/somewhere/out",
    "tune_llm": "not a truth value",
    "some_inf": float("inf"),
}


def script_run(
    run_id: str,
    name: str,
    arguments: tuple[str, ...] | None = ("--dataset-path", "demo_data/robot_sim.PickNPlace"),
    final: float = 0.19,
    steps: int = 200,
    gpus: int = 1,
    changes: dict[str, Any] | None = None,
    **fields: Any,
) -> HostedRun:
    """A run of ``gr00t_finetune.py``: one row each 10 steps, ``train/loss`` their mean."""
    config = TRAINING_ARGUMENTS | (changes or {})
    values = losses(steps, final, seed=sum(map(ord, run_id)))
    rows: list[dict[str, Any]] = [
        {
            "train/loss": float(values[end - 10 : end].mean()),
            "train/global_step": end,
            "train/learning_rate": config["learning_rate"],
            "train/epoch": end / 100,
            "_runtime": end / 2,
            "_timestamp": 1.75e9 + end / 2,
        }
        for end in range(10, steps + 1, 10)
    ]
    rows.append({"train/total_flos": 1e15, "train/global_step": steps, "_runtime": steps / 2})
    summary: dict[str, Any] = {
        "train/loss": rows[-2]["train/loss"],
        "train/global_step": steps,
        "_runtime": steps / 2,
        "_wandb": {"runtime": 100},
    }
    if steps == config["max_steps"]:
        batch = config["per_device_train_batch_size"] * config["gradient_accumulation_steps"]
        summary |= {
            "train_runtime": steps / 2,
            "train_samples_per_second": round(batch * gpus * 2, 3),
        }
    metadata = {
        "program": "/home/one/Isaac-GR00T/scripts/gr00t_finetune.py",
        "args": list(arguments or ()),
        "git": {"remote": "https://github.com/NVIDIA/Isaac-GR00T", "commit": "5e3ef5ef9a89b647f1"},
        "gpu_count": 8,
    }
    return HostedRun(
        run_id,
        name,
        config,
        rows,
        summary,
        metadata=metadata if arguments is not None else None,
        **fields,
    )


def own_run(run_id: str) -> HostedRun:
    """A run of this package: a row each step with ``train/step_loss``."""
    config = {
        "batch_size": 8,
        "max_steps": 100,
        "learning_rate": 1e-4,
        "tune_llm": False,
        "tune_visual": False,
        "tune_projector": True,
        "tune_diffusion_model": True,
        "samples_per_step": 8,
        "trainer": "native",
        "base_model": "tiny",
        "base_model_revision": None,
        "dataset": "synthetic-pick-n-place",
        "dataset_version": "0123456789abcdef",
        "data_config": "fourier_gr1_arms_only",
        "embodiment_tag": "gr1",
        "config_hash": "0123456789ab",
    }
    rows = [
        {"train/global_step": step, "train/step_loss": loss, "train/samples_seen": 8 * step}
        for step, loss in enumerate(losses(100, 0.1).tolist(), 1)
    ]
    return HostedRun(run_id, "lr1e-4", config, rows, {"status": "finished"}, parquet=True)
