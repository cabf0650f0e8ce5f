"""GPU memory that fine-tuning the full-size N1.5 takes, from published figures.

Three figures are published for the default setting (``tune_projector`` and
``tune_diffusion_model``, bfloat16 autocast, one 80 GB card): about 25 GB at batch size 1, 56 GB at
32, 74 GB at 128. They were not measured here. Between them is interpolated; past 128 the last slope
continues. The card they were read on calls its 79.15 GiB "80 GB", so they are taken as GiB.

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

import re
from collections.abc import Callable
from functools import partial
from itertools import compress

from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.base_model_files import BUILT_IN_NAMES, model_path
from gr00t_assets.trainers.failures.failure_pattern import Explanation
from gr00t_assets.trainers.n15.n15_hyperparameters import N15Hyperparameters

GIB = 2**30
_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": GIB}

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

SMALLEST_FULL_SIZE = 4_000_000_000  # bytes of weights; 2,414 M parameters of 16 bits are 4.8 GB

HEADROOM = 0.05
"""Share of a device that a proposed setting leaves free; the published 74 GB leave 6 %."""


def trained_parameters(settings: N15Hyperparameters) -> int:
    """Parameters of the full-size N1.5 that a setting trains; LoRA's own are not counted.

    Examples:
        >>> f"{trained_parameters(N15Hyperparameters()) / 1e6:,.0f} M"
        '1,069 M'
    """
    if settings.lora_rank:
        return 0
    counts = (LLM, VISUAL, PROJECTOR, DIFFUSION_MODEL)
    return OTHER + sum(compress(counts, settings.tuned_parts.values()))


def estimate(settings: N15Hyperparameters, cameras: int = 1, batch_size: int | None = None) -> int:
    """Bytes that a fine-tuning of the full-size N1.5 takes on each of its GPUs.

    ``cameras``, the images of a sample, matter where a tower is trained. ``batch_size`` is that of
    each GPU, the settings' own where left out.

    Examples:
        >>> [round(estimate(N15Hyperparameters(batch_size=n)) / GIB) for n in (1, 32, 128)]
        [25, 56, 74]
    """
    samples, trained = batch_size or settings.batch_size, trained_parameters(settings)
    (below, low), (above, high) = PUBLISHED[:2] if samples <= PUBLISHED[1][0] else PUBLISHED[1:]
    published = int(low + (high - low) * (samples - below) / (above - below))
    weights = BYTES_TRAINED * (trained - trained_parameters(N15Hyperparameters()))
    buckets = BYTES_BUCKETS * trained if settings.num_gpus * settings.nodes > 1 else 0
    return published + weights + buckets + samples * _tower_activations(settings, cameras)


def largest_batch(settings: Hyperparameters, total: float, needed: Callable[[int], float]) -> int:
    """The largest batch size up to the setting's own whose bytes fit a device of some, else 0."""
    sizes = range(settings.batch_size, 0, -1)
    return next((size for size in sizes if needed(size) <= total * (1 - HEADROOM)), 0)


def smaller_batch(settings: Hyperparameters, most: int) -> tuple[int, int] | None:
    """The batch size up to ``most`` and the accumulation that keep the samples of a step.

    Examples:
        >>> smaller_batch(N15Hyperparameters(batch_size=32), 10)
        (8, 4)
    """
    samples = settings.batch_size * settings.gradient_accumulation_steps
    sizes = range(min(most, settings.batch_size - 1), 0, -1)
    return next(((size, samples // size) for size in sizes if samples % size == 0), None)


def _tower_activations(settings: N15Hyperparameters, cameras: int) -> int:
    if settings.lora_rank and not settings.lora_full_model:
        return 0
    text = _TEXT_ACTIVATIONS_PER_TOKEN * (IMAGE_TOKENS * cameras + PROMPT_TOKENS)
    if settings.tune_visual:
        return _VISUAL_ACTIVATIONS * cameras + text
    return text if settings.tune_llm else 0


def is_full_size(base_model: str) -> bool:
    """Whether a base model is in full size: any but ``tiny`` and folders of small weights."""
    if base_model in BUILT_IN_NAMES:
        return False
    weights = [file.stat().st_size for file in model_path(base_model).glob("*.safetensors")]
    return sum(weights) >= SMALLEST_FULL_SIZE if weights else True


def out_of_memory(
    message: str,
    spec: TrainingSpec,
    needed: Callable[[int], float] | None = None,
    source: str = SOURCE,
) -> Explanation:
    """Why a GPU is out of memory, by torch's ``GPU 0 has a total capacity of 79.15 GiB of ...``.

    ``needed`` has the bytes for a batch size, and ``source`` says where they come from; those of
    the published figures of N1.5 where left out.
    """
    settings, total, lines = spec.experiment.hyperparameters, None, []
    capacity = re.search(r"total capacity of ([\d.]+) (\w+)", message)
    if capacity and capacity[2] in _UNITS:
        total = float(capacity[1]) * _UNITS[capacity[2]]
    processes = re.findall(r"Process (\d+) has ([\d.]+ \w+) memory in use", message)
    if allocation := re.search(r"Tried to allocate ([\d.]+ \w+)", message):
        free = re.search(r"of which ([\d.]+ \w+) is free", message)
        were_free = f", {free[1]} were free" if free else ""
        lines.append(f"{allocation[1]} more were asked{were_free}")
    if processes:
        usage = ", ".join(f"process {process} {amount}" for process, amount in processes)
        lines.append(f"others hold memory of the same device: {usage}; end them, or wait for them")
    is_n15 = spec.modality_config.generation == "n1.5"
    published = is_n15 and needed is None and is_full_size(spec.experiment.base_model)
    if published and isinstance(settings, N15Hyperparameters):
        needed = partial(estimate, settings, most_cameras(spec))
    if needed is not None:
        lines += [*remedy_lines(settings, needed, total), f"the estimates are {source}"]
    else:
        proposal = smaller_batch(settings, most=10**9)
        lines.append(_proposed(settings, proposal) if proposal else "take a GPU with more memory")
    problem = f"the GPU's memory does not hold batch_size {settings.batch_size}."
    return Explanation(problem, tuple(lines))


def most_cameras(spec: TrainingSpec) -> int:
    """Images of a sample, of the dataset that has most."""
    return max(1, *(len(dataset.config.video) for dataset in spec.datasets))


def remedy_lines(
    settings: Hyperparameters, needed: Callable[[int], float], total: float | None
) -> list[str]:
    """What the settings need, and a batch size that fits a device of ``total`` bytes."""
    of_device = f" of the {total / GIB:.0f} GiB that the device has" if total else ""
    asked = needed(settings.batch_size) / GIB
    lines = [f"estimate: batch_size {settings.batch_size} needs about {asked:.0f} GiB{of_device}"]
    most = largest_batch(settings, total, needed) if total else settings.batch_size // 2
    proposal = smaller_batch(settings, most)
    if proposal is None:
        fewer = "train fewer parts (tune_llm, tune_visual, tune_diffusion_model: false)"
        return [*lines, f"no batch_size fits: {fewer}, set lora_rank, or take a larger GPU"]
    less = needed(proposal[0]) / GIB
    fitting = f"{_proposed(settings, proposal)} and needs about {less:.0f} GiB{of_device}"
    return [*lines, fitting]


def _proposed(settings: Hyperparameters, proposal: tuple[int, int]) -> str:
    line = f"batch_size {proposal[0]} with gradient_accumulation_steps {proposal[1]}"
    return f"{line} keeps {settings.samples_per_step} samples a step"
