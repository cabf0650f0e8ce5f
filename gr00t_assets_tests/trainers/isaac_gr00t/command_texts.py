"""The journal's commands, and a script of a later commit, as text; flags of a command."""

from gr00t_assets.trainers.isaac_gr00t.shell_command import ShellCommand

JOURNAL = r"""
### Blog Post Command:
```bash
python scripts/gr00t_finetune.py \
   --dataset-path ./demo_data/so101-table-cleanup/ \
   --num-gpus 1 \
   --output-dir ./so101-checkpoints  \
   --max-steps 10000 \
   --data-config so100_dualcam \
   --video-backend torchvision_av
```

### Our Demo Script Command:
```bash
python Isaac-GR00T/scripts/gr00t_finetune.py \
    --dataset-path Isaac-GR00T/demo_data/robot_sim.PickNPlace \
    --output-dir gr00t-checkpoints-overfit-demo \
    --data-config fourier_gr1_arms_only \
    --video-backend torchvision_av \
    --num-gpus 1 \
    --batch-size 1 \
    --max-steps 200 \
    --learning-rate 5e-4 \
    --save-steps 50 \
    --report-to wandb \
    --no-tune-llm \
    --no-tune-visual \
    --tune-projector \
    --tune-diffusion-model \
    --warmup-ratio 0.01 \
    --weight-decay 0.0 \
    --dataloader-num-workers 4
```

### Our Long Script Command:
```bash
python Isaac-GR00T/scripts/gr00t_finetune.py \
    --dataset-path Isaac-GR00T/demo_data/robot_sim.PickNPlace \
    --output-dir gr00t-checkpoints-overfit-long \
    --data-config fourier_gr1_arms_only \
    --video-backend torchvision_av \
    --num-gpus 1 \
    --batch-size 1 \
    --max-steps 2000 \
    --learning-rate 1e-3 \
    --save-steps 100 \
    --report-to wandb \
    --tune-llm \
    --tune-visual \
    --tune-projector \
    --tune-diffusion-model \
    --warmup-ratio 0.0 \
    --weight-decay 0.0 \
    --dataloader-num-workers 2
```
"""
"""The three commands as the journal has them, in Markdown."""

LATER_SCRIPT = '''
from typing import List, Literal
import somewhere_unknown

class ArgsConfig:
    dataset_path: List[str]
    """Path"""
    output_dir: str = "elsewhere"
    data_config: str = "fourier_gr1_arms_only"
    base_model_path: str = "nvidia/GR00T-N1.5-3B"
    batch_size: int = 32
    gradient_accumulation_steps: int = 1
    dataloader_num_workers: int = 12
    report_to: Literal["wandb", "tensorboard", "azure_ml"] = "wandb"
    embodiment_tag: Literal[tuple(MAPPING.keys())] = "new_embodiment"
    video_backend: Literal["torchcodec", "decord", "torchvision_av"] = "torchcodec"

def main(config):
    return TrainingArguments(
        output_dir=config.output_dir,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        lr_scheduler_type="cosine",
        logging_steps=10.0,
        save_total_limit=5,
        seed=42,
        adam_beta1=0.95,
    )
'''
"""A script with the changes that came after the release."""


def flags(words: list[str]) -> dict[str, str | None]:
    """Each flag with its value, or None of a switch."""
    found: dict[str, str | None] = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            assert word not in found
            found[word] = None if following.startswith("--") else following
    return found


def printed(command: ShellCommand) -> dict[str, str | None]:
    """The flags of a command as it is printed."""
    return flags([word for flag in command.flags for word in flag])
