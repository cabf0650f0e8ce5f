"""What fine-tuning the full-size N1.5 takes of a GPU's memory, from published figures.

Three figures are published for the default setting (``tune_projector`` and
``tune_diffusion_model``, bfloat16 autocast, one 80 GB card): about 25 GB at batch size 1, 56 GB at
32, 74 GB at 128. They were not measured here. Between them is interpolated; past 128 the last slope
goes on. The card they were read on calls its 79.15 GiB "80 GB", so they are taken as GiB.

Any other setting is that figure and the difference that parameters and activations make:

- A trained parameter takes 12 bytes more than a frozen one: its gradient and AdamW's two moments,
  all float32. By this count the default comes to 22.5 GB without activations: 2,414 M weights of 4
  bytes, 1,069 M of them trained.
- With several GPUs ``DistributedDataParallel`` keeps the gradients a second time in its buckets:
  4 bytes a trained parameter.
- A trained tower keeps its activations for the backward pass, 34 bytes x tokens x width x layers
  for 16-bit numbers where flash attention keeps no attention matrix (Korthikanti et al. 2022,
  "Reducing Activation Recomputation in Large Transformer Models", section 4.1). Training the
  vision tower leads back through the text tower, which then keeps its own.

Nothing heavy is imported, so that a command can ask without torch.
"""

from pathlib import Path

from gr00t_assets.experiments.hyperparameters import Hyperparameters

GIB = 2**30

PUBLISHED = ((1, 25 * GIB), (32, 56 * GIB), (128, 74 * GIB))
"""Batch size on one GPU and bytes of its memory, for the default setting."""

SOURCE = "from figures published for an 80 GB card, not measured here"

LLM = 914_674_688
VISUAL = 414_803_696
PROJECTOR = 316_933_120
DIFFUSION_MODEL = 550_386_688
OTHER = 201_486_336
"""Parameters of the full-size N1.5 that each flag trains; OTHER are trained whatever the flags."""

BYTES_TRAINED = 12
BYTES_BUCKETS = 4

IMAGE_TOKENS = 256
PROMPT_TOKENS = 64
"""Tokens of a camera's image, and of the text around the images, rounded up."""

_VISUAL_ACTIVATIONS = 34 * IMAGE_TOKENS * 1152 * 27
_TEXT_ACTIVATIONS_PER_TOKEN = 34 * 2048 * 12

SMALLEST_FULL_SIZE = 4_000_000_000
"""Bytes of weights; 2,414 M parameters of 16 bits are 4.8 GB."""

HEADROOM = 0.05
"""Share of a device that a proposed setting leaves free; the published 74 GB leave 6 %."""


def trained_parameters(settings: Hyperparameters) -> int:
    """Parameters of the full-size N1.5 that a setting trains; LoRA's own are not counted.

    Example:
        >>> f"{trained_parameters(Hyperparameters()) / 1e6:,.0f} M"
        '1,069 M'
    """
    if settings.lora_rank:
        return 0
    parts = (
        (settings.tune_llm, LLM),
        (settings.tune_visual, VISUAL),
        (settings.tune_projector, PROJECTOR),
        (settings.tune_diffusion_model, DIFFUSION_MODEL),
    )
    return OTHER + sum(count for trained, count in parts if trained)


def estimate(settings: Hyperparameters, cameras: int = 1) -> int:
    """Bytes that a fine-tuning of the full-size N1.5 takes on each of its GPUs.

    Args:
        settings: The experiment's hyperparameters.
        cameras: Camera images of a sample; they matter where a tower is trained.

    Example:
        >>> [round(estimate(Hyperparameters(batch_size=n)) / GIB) for n in (1, 32, 128)]
        [25, 56, 74]
    """
    trained = trained_parameters(settings)
    weights = BYTES_TRAINED * (trained - trained_parameters(Hyperparameters()))
    buckets = BYTES_BUCKETS * trained if settings.num_gpus > 1 else 0
    per_sample = _tower_activations(settings, cameras)
    return (
        int(_published(settings.batch_size))
        + weights
        + buckets
        + (settings.batch_size * per_sample)
    )


def largest_batch(settings: Hyperparameters, total_bytes: float, cameras: int = 1) -> int:
    """The largest batch size up to the setting's own that fits a device; 0 where none does.

    Args:
        settings: The experiment's hyperparameters.
        total_bytes: Memory of one device.
        cameras: Camera images of a sample.
    """
    room = total_bytes * (1 - HEADROOM)
    for batch_size in range(settings.batch_size, 0, -1):
        if estimate(with_batch(settings, batch_size), cameras) <= room:
            return batch_size
    return 0


def with_batch(settings: Hyperparameters, batch_size: int) -> Hyperparameters:
    """The same setting with another batch size."""
    return settings.model_copy(update={"batch_size": batch_size})


def smaller_batch(settings: Hyperparameters, most: int) -> tuple[int, int] | None:
    """The batch size up to ``most`` and the accumulation that keep the samples of a step.

    Example:
        >>> smaller_batch(Hyperparameters(batch_size=32), 10)
        (8, 4)
    """
    samples = settings.batch_size * settings.gradient_accumulation_steps
    for batch_size in range(min(most, settings.batch_size - 1), 0, -1):
        if samples % batch_size == 0:
            return batch_size, samples // batch_size
    return None


def _published(batch_size: int) -> float:
    (below, low), (above, high) = PUBLISHED[:2] if batch_size <= PUBLISHED[1][0] else PUBLISHED[1:]
    return low + (high - low) * (batch_size - below) / (above - below)


def _tower_activations(settings: Hyperparameters, cameras: int) -> int:
    if settings.lora_rank and not settings.lora_full_model:
        return 0
    visual = _VISUAL_ACTIVATIONS * cameras if settings.tune_visual else 0
    tokens = IMAGE_TOKENS * cameras + PROMPT_TOKENS
    text = settings.tune_llm or settings.tune_visual
    return visual + (_TEXT_ACTIVATIONS_PER_TOKEN * tokens if text else 0)


def is_full_size(base_model: str) -> bool:
    """Whether a base model is N1.5 in full size: any but ``tiny`` and folders of small weights."""
    if base_model == "tiny":
        return False
    folder = Path(base_model).expanduser()
    weights = [file.stat().st_size for file in folder.glob("*.safetensors")]
    return sum(weights) >= SMALLEST_FULL_SIZE if weights else True
