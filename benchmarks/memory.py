"""GPU memory of the native trainer by what is trained and how: counted, not measured.

``python -m benchmarks.memory`` prints the table of docs/native.md for the released N1.5 with one
camera, in GiB and with the smallest of four cards that holds it.
"""

from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.memory import GIB, RELEASED, memory_need

PROJECTOR = {"tune_diffusion_model": False}
LLM = {"tune_llm": True}
PARTS = {
    "projector only": PROJECTOR,
    "and diffusion model (default)": {},
    "and llm": LLM,
    "and visual": LLM | {"tune_visual": True},
    "LoRA, rank 16": {"lora_rank": 16},
    "LoRA, rank 16, full model": {"lora_rank": 16, "lora_full_model": True},
}
TECHNIQUES = {
    "plain": {},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "8-bit AdamW": {"optimizer": "adamw_8bit"},
    "bfloat16 weights": {"weights": "bfloat16"},
    "all three": {"gradient_checkpointing": True, "optimizer": "adamw_8bit", "weights": "bfloat16"},
    "FSDP over 2": {"num_gpus": 2, "sharding": "fsdp"},
}
BATCHES = (1, 8, 32)
CARDS = (16, 24, 48, 80)
"""In GB as they are sold, which is about their GiB."""

RESERVED = 0.05
"""Share of a card that CUDA, kernels and fragmentation take."""


def main() -> None:
    sizes = " | ".join(f"batch {size}" for size in BATCHES)
    print(f"| trained | technique | {sizes} |\n|{'---|' * (2 + len(BATCHES))}")
    for part, trained in PARTS.items():
        for technique, how in TECHNIQUES.items():
            cells = " | ".join(_cell(trained | how, size) for size in BATCHES)
            print(f"| {part} | {technique} | {cells} |", flush=True)


def _cell(values: dict[str, object], batch_size: int) -> str:
    """GiB, and the smallest card that holds them."""
    known = {name: value for name, value in values.items() if name in _FIELDS}
    settings = NativeHyperparameters.model_validate(known)
    if sharding := values.get("sharding"):
        settings = settings.model_copy(update={"sharding": sharding})
    needed = memory_need(RELEASED, settings, batch_size=batch_size).total / GIB
    card = next((str(size) for size in CARDS if needed <= (1 - RESERVED) * size), "more")
    return f"{needed:.1f} ({card})"


_FIELDS = NativeHyperparameters.model_fields


if __name__ == "__main__":
    main()
