"""Checkpoints that cannot be gone on from, a loss that is no number, and the launcher's words."""

from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.known import Known, Told, Words, told


def _tell_as_printed(words: Words, spec: TrainingSpec) -> Told:
    """What the launcher and the native trainer say of themselves is for people already."""
    problem = words["problem"] or words.get("problem2", "")
    details = words["details"] or words.get("details2", "")
    return Told(problem, tuple(line[2:] for line in details.split("\n") if line))


KNOWN = (
    Known(
        "resume-pickle",
        (
            r"Weights only load failed",
            r"WeightsUnpickler error",
            r"Unsupported global: GLOBAL numpy",
        ),
        told(
            "torch refused the numpy values in the checkpoint's random state.",
            "a fault of Isaac-GR00T before 2025-08-07 with torch 2.5: its own --resume fails so",
            "started by this platform it resumes: materialise it again",
            "by hand, check a newer commit out",
        ),
    ),
    Known(
        "no-checkpoint",
        (r"No valid checkpoint found in output directory(?: \((?P<folder>[^)]*)\))?",),
        told(
            "it was to go on from a checkpoint and there is none.",
            "started by hand, leave --resume away; started by this platform, materialise it again",
        ),
    ),
    Known(
        "damaged-checkpoint",
        (
            r"PytorchStreamReader failed reading",
            r"SafetensorError: Error while deserializing",
            r"SafetensorError: (?:HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer)",
            r"(?s)_load_rng_state.*OSError: \[Errno 22\] Invalid argument",
            r"(?s)_open_zipfile_reader.*OSError: \[Errno 22\] Invalid argument",
            r"(?s)torch/serialization\.py.*EOFError: Ran out of input",
        ),
        told(
            "a file of weights or of a checkpoint is cut short.",
            "move the newest folder under checkpoints/ of the run directory away and materialise "
            "again: it goes on from the one before",
            "where it is the base model, download {base_model} again",
        ),
    ),
    Known(
        "shapes",
        (
            r"size mismatch for (?P<name>\S+?): copying a param with shape (?P<has>.*?) from "
            r"checkpoint, the shape in current model is (?P<wants>.*?)\.(?:\s|$)",
            r"loaded state dict contains a parameter group that doesn't match the size",
        ),
        told(
            "the checkpoint is of a model with other sizes: {name}",
            "the action horizon and dimensions of a data config change them; "
            "see that base_model {base_model} was trained with the same data config",
        ),
    ),
    Known(
        "refused",
        (r"^(?:\w+\.)*Refusal: (?P<problem>.+)(?P<details>(?:\n  .+)*)",),
        _tell_as_printed,
        anywhere=True,
    ),
    Known(
        "diverged",
        (
            r"^(?:\w+\.)*Diverged: (?P<problem>.+)(?P<details>(?:\n  .+)*)",
            r"^TrainingError: (?P<problem2>step \d+: .*diverged\.)(?P<details2>(?:\n  .+)*)",
        ),
        _tell_as_printed,
    ),
    Known(
        "nan",
        (r"'(?:loss|grad_norm)': (?:'?nan'?|'?inf'?)(?=[,}])", r"returned nan values"),
        told(
            "the loss is no longer a number: training has diverged.",
            "lower learning_rate, or raise warmup_ratio, in the sweep file",
            "NaN in the data does it as well; see: {check}",
        ),
        anywhere=True,
        consequence=True,
    ),
)
