"""What the columns and the cells of a table of runs mean, as people write them."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from gr00t_assets.comparison.columns import COLUMNS, setting_dtype
from gr00t_assets.core.text import from_spreadsheet, nearest
from gr00t_assets.experiments.registry import all_hyperparameters, combined_hyperparameters

_OTHER_NAMES = {
    "run_id": "id",
    "name": "experiment experiment_name",
    "status": "state",
    "note": "notes comment",
    "started_at": "created created_at start_time",
    "base_model": "base_model_path model_name_or_path",
    "dataset": "dataset_name",
    "loss": "train/loss training/loss training_loss final_loss",
    "logged_step": "train/global_step global_step",
    "learning_rate": "lr",
    "batch_size": "bs batch per_device_train_batch_size per_device_batch_size",
    "max_steps": "steps training_steps max_train_steps num_training_steps",
    "weight_decay": "wd",
    "lr_scheduler_type": "lr_scheduler scheduler",
    "gradient_accumulation_steps": "grad_accum accumulate_grad_batches",
    "num_gpus": "gpus world_size",
    "num_train_epochs": "num_epochs",
    "loss_se": "loss_sem loss_stderr",
}
"""Names of W&B, ``transformers.TrainingArguments`` and people, by those of this package."""

_PREFIX = re.compile(
    r"^(?:(?:args|config|cfg|hparams|hyperparameters|params|training_args|summary)[./])+", re.I
)
"""What W&B and others put before the name of a setting."""

_MEASURED = re.compile(
    r"_.*|(?:train|training|eval|val|valid|validation|test|system|perf|timing|unnamed)\s*[/:].*"
    r"|(?:.*[_ ./-])?(?:loss|accuracy|acc|success|success_rate|reward|score|mse|mae|perplexity"
    r"|runtime|flos|per_second)(?:[_ ](?:std|sd|var|min|max|mean|err|error|ci.*|\d+))?"
    r"|epoch|grad_norm",
    re.I,
)
"""Results, and columns that W&B and pandas add; none of them is a setting."""

_OTHER = re.compile(
    r"(?:\b|_)(?:eval|val|valid|validation|test|first|best|min|max|std|sd|var|err|ci\d*)(?:\b|_)",
    re.I,
)
"""Parts of names of losses that are not the training loss at the end."""

_LABELS = re.compile(
    r"user|tags|runtime|updated|endtime|(?:host|run)?name|host|description|github|commit|path|url"
    r"|jobtype|group|(?:output|logging)dir|os|problems|(?:python|wandb)version|[gc]pu(?:type|count)"
    r"|run|trial|replicate|repeat|index"
)
"""Where, by whom and under which label a run was made, which is no setting either."""


def _squashed(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())


@lru_cache(64)
def column_meanings(labels: tuple[str, ...]) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    """The column or setting that each label stands for, and what was taken for another name.

    None are columns that say nothing of how a run was made or what came out: other results,
    labels of W&B, and what is derived when a table is exported.

    Raises:
        ValueError: No column can be the loss; the message names the closest.
    """
    names = [_meaning(label) for label in labels]
    if "epochs" in labels and "remark" not in labels:  # that of an export is derived
        names[labels.index("epochs")] = "num_train_epochs"
    sentences: list[str] = []
    known = list(dict.fromkeys(filter(None, _names().values())))
    for place, (label, name) in enumerate(zip(labels, names, strict=True)):
        if name is None or name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.88)
        if close and close[0] not in names:
            names[place] = close[0]
            sentences.append(f"Column '{label}' is read as {close[0]}.")
    if "loss" not in names:
        place = _likely_loss(labels)
        names[place] = "loss"
        sentences.append(f"Column '{labels[place]}' is read as loss.")
    return tuple(names), tuple(sentences)


def _likely_loss(labels: Sequence[str]) -> int:
    """The place of the one column that can only be the training loss."""
    losses = [label for label in labels if re.search("loss(?!_(?:se|samples|kind))", label, re.I)]
    results = [label for label in losses if _MEASURED.fullmatch(label) and not _OTHER.search(label)]
    for likely in ([label for label in results if "train" in label.lower()], results):
        if len(likely) == 1:
            return labels.index(likely[0])
    closest = results or losses or [*filter(None, [nearest("loss", labels)])]
    hint = ("the closest are " if closest else "it has ") + ", ".join((closest or labels)[:9])
    raise ValueError(
        f"there is no column loss; {hint}; rename the one with the training loss at the end to loss"
    )


def _meaning(label: str) -> str | None:
    name = _PREFIX.sub("", label.strip())
    if (known := _names().get(_squashed(name))) is not None:
        return known or None
    says_nothing = not name or label.startswith("summary.") or _LABELS.fullmatch(_squashed(name))
    return None if says_nothing or _MEASURED.fullmatch(name) else label.strip()


@lru_cache(1)
def _names() -> dict[str, str]:
    """Names by all that stands for them, without case, spaces and underscores; '' if derived."""
    others = [(name, (name, *words.split())) for name, words in _OTHER_NAMES.items()]
    names = {_squashed(word): name for name, words in others for word in words}
    names |= {_squashed(name): name for name in all_hyperparameters()}
    derived = {name: "" if item.derived else name for name, item in COLUMNS.items()}
    return names | {_squashed(name): known for name, known in derived.items()}


Value = str | int | float | bool
_BOOLEANS = {**dict.fromkeys(("true", "yes", "1", "1.0"), True),
             **dict.fromkeys(("false", "no", "0", "0.0"), False)}  # fmt: skip
_EMPTY = {"", "na", "n/a", "null", "-", "nan"}
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")  # Thousands to some, a decimal to others
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?P<comma>(?:,\d{3})+)(?:\.\d*)?|(?:\.\d{3})+(?:,\d*)?)")
_COMMA = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d*),\d+(?:[eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d*)\.\d+(?:[eE][+-]?\d+)?")


def is_empty(name: str, cell: object) -> bool:
    """Whether a cell says nothing; as a loss ``nan`` in letters says that the run diverged."""
    if name == "max_steps" and str(cell) in ("-1", "-1.0"):
        return True  # of transformers, where the length is given in epochs
    if isinstance(cell, str):
        text = cell.strip()
        is_diverged = (name, text.lower()) == ("loss", "nan")
        return text == "None" or (text.lower() in _EMPTY and not is_diverged)
    is_of_pandas = type(cell).__name__ in ("NAType", "NaTType")
    return cell is None or is_of_pandas or (type(cell) is float and cell != cell)


def decimal_signs(texts: Iterable[str]) -> str:
    """Decimal signs of the texts that leave no doubt: none, ``,``, ``.`` or both.

    Examples:
        >>> decimal_signs(["0,0585", "1,234"]), decimal_signs(["1.5", "2,000"])
        (',', '.')
    """
    texts = [text for text in map(str.strip, texts) if not _EITHER.fullmatch(text)]
    forms = {",": _COMMA, ".": _POINT}
    return "".join(sign for sign, form in forms.items() if any(map(form.fullmatch, texts)))


def cell_value(name: str, cell: object, signs: str = "") -> Value:
    """The value of a cell that is not empty, a text or a typed value, in its column's type.

    ``signs`` are the ``decimal_signs`` of the table.

    Raises:
        ValueError: It is no such value; the message says what was expected.

    Examples:
        >>> cell_value("learning_rate", "5e-4"), cell_value("max_steps", "2,000")
        (0.0005, 2000)
        >>> cell_value("loss", "0,0585"), cell_value("loss", "1,234", signs=",")
        (0.0585, 1.234)
    """
    value: Any = from_spreadsheet(cell.strip()) if isinstance(cell, str) else cell
    is_setting = name not in COLUMNS
    dtype = setting_dtype(name) if is_setting else COLUMNS[name].dtype
    if dtype is None:
        return _guessed(value, signs)
    if dtype == "string":
        return str(value)
    if dtype == "boolean":
        if (known := _BOOLEANS.get(str(value).lower())) is None:
            raise ValueError(f"expected true or false, found {value!r}")
        return known
    number, is_whole = _number(value, signs, dtype == "Int64"), dtype == "Int64"
    if name == "loss":
        return number
    expected = ""
    if not math.isfinite(number):
        expected = "a finite number"
    elif is_whole and number % 1:
        expected = "a whole number"
    elif not is_setting and number < 0:
        expected = "a number that is not below zero"
    if expected:
        raise ValueError(f"expected {expected}, found {value!r}")
    number = int(number) if is_whole else number
    if is_setting:
        _check_setting(name, number)
    return number


def _number(value: Any, signs: str, whole: bool) -> int | float:
    if isinstance(value, str):
        text = _with_point(value, signs, whole)
        with suppress(ValueError):
            return int(text) if whole and text.isdecimal() else float(text)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return value if whole else float(value)
    raise ValueError(f"expected a number, found {value!r}")


def _with_point(text: str, signs: str, whole: bool) -> str:
    """A number without marks of thousands, with a point; what is none stays as it is."""
    if "," not in text and text.count(".") < 2 and signs != ",":
        return text
    if _EITHER.fullmatch(text):
        many, one = re.sub("[,.]", "", text), text.replace(",", ".")
        if "." in text and signs != ",":
            return text
        if "," in text and "," not in signs and whole:
            return many
        if "," in text and signs == "," and not whole:
            return one
        raise ValueError(f"{text!r} may be {many} or {one}; write it without mark of thousands, "
                         "with a decimal point")  # fmt: skip
    if groups := _GROUPS.fullmatch(text):
        thousands, point = (",", ".") if groups["comma"] else (".", ",")
        return text.replace(thousands, "").replace(point, ".")
    return text.replace(",", ".") if _COMMA.fullmatch(text) else text


def _guessed(value: Any, signs: str) -> Value:
    """A cell of a column of which no type is known."""
    if not isinstance(value, str):
        return value if isinstance(value, int | float) else str(value)
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    with suppress(ValueError):
        if math.isfinite(number := _number(value, signs, whole=False)):
            return int(number) if not number % 1 and "e" not in value.lower() else number
    return value


@lru_cache(4096)
def _check_setting(name: str, value: int | float) -> None:
    try:
        combined_hyperparameters().model_validate({name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise ValueError(f"expected a value {message}, found {value}") from None
