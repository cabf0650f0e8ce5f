"""Commands that train a configuration again: an experiment's own, or the script's arguments."""

from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.formatting import shown_setting

_FLAGS = ("tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model")
_VALUES = ("data_config", "batch_size", "max_steps", "learning_rate", "warmup_ratio",
           "weight_decay", "lora_rank", "num_gpus", "video_backend")  # fmt: skip


def commands(run: Observation) -> list[str]:
    """What to type to train a run's configuration again.

    A run of the store is an experiment and is named; NVIDIA's own script trains it too where its
    trainer is ``isaac-gr00t``. Of an imported run the script's arguments are known.
    """
    if run.source != "store":
        return script_command(run)
    named = [
        "dagster asset materialize -m gr00t_assets.definitions "
        f"--select checkpoint --partition {run.name}"
    ]
    if run.data.get("trainer", "").startswith("isaac-gr00t"):
        named.append(f"gr00t-assets isaac command {run.name}")
    return named


def script_command(run: Observation) -> list[str]:
    """``gr00t_finetune.py`` with every argument that the run's source knows."""
    known: dict[str, object] = {**run.settings}
    if config := run.data.get("data config"):
        known["data_config"] = config
    lines = [
        f"  --{_dashed(name)} {shown_setting(known[name])}"
        for name in _VALUES
        if known.get(name) not in (None, "") and (name != "lora_rank" or known[name])
    ]
    lines += [
        f"  --{'' if known[name] else 'no-'}{_dashed(name)}" for name in _FLAGS if name in known
    ]
    return " \\\n".join(["python scripts/gr00t_finetune.py", *lines]).splitlines()


def _dashed(name: str) -> str:
    return name.replace("_", "-")
