"""The research journal, ``reports/research_journal.md``, from the runs and a person's notes.

Notes, ``data/journal/notes/*.md``, are read and placed, and never changed. One may begin with front
matter that says what it is about::

    ---
    experiment: demo-lr1e-3-seed1
    ---

or ``question: batch_size``. A note without front matter is about the work as a whole.
"""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import yaml

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.answers.headline import doubts
from gr00t_assets.comparison.comparison import Comparison
from gr00t_assets.comparison.run import TRAINABLE_PARTS, Run
from gr00t_assets.comparison.statistics.effects import Effect
from gr00t_assets.comparison.statistics.factors import factor_named, factor_value
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass, RankedConfiguration
from gr00t_assets.comparison.wording import factor_words, listed, shown, value_words
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.text import did_you_mean, markdown, printable, shown_setting
from gr00t_assets.experiments.registry import all_hyperparameters, trainer_named
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.reporting.effect_table import BADGES, ratio_text
from gr00t_assets.reporting.markdown import markdown_environment, tidy
from gr00t_assets.reporting.ranking_table import frames_warning
from gr00t_assets.reporting.report import compare_everything, short_verdict
from gr00t_assets.runs.stored_run import read_runs

MOST_EFFECTS = 3  # Effects that a conclusion names; the comparison has the others
_FIRST_SETTINGS = ("learning_rate", "batch_size", "max_steps")
_PART_FLAGS = tuple(name for name in TRAINABLE_PARTS if name.startswith("tune_"))
_SCRIPT_VALUES = ("data_config", "batch_size", "max_steps", "learning_rate", "warmup_ratio",
                  "weight_decay", "lora_rank", "num_gpus", "video_backend")  # fmt: skip


def entries(comparison: Comparison) -> Iterator[tuple[Run, str, list[str], bool]]:
    """Each run, its place and effects in words, and whether it is the first of its experiment."""
    names: set[str] = set()
    places = {
        run.run_id: _place_sentence(ranked, ranked_class)
        for ranked_class in comparison.ranked_classes
        for ranked in ranked_class.ranking
        for run in ranked.runs
    }
    every = [effect for of_factor in comparison.effects.values() for effect in of_factor]
    every.sort(key=lambda effect: list(BADGES).index(effect.verdict))
    for run in comparison.runs:
        conclusion = places.get(run.run_id, "none.")
        if not run.finished:
            conclusion = f"none: it is {run.status}, so it is neither ranked nor compared."
        own = [x for x in every if any(member.run_id == run.run_id for member in x.runs)]
        sentences = [_effect_sentence(effect, run) for effect in own[:MOST_EFFECTS]]
        yield run, conclusion, sentences, run.name not in names
        names.add(run.name)


def _effect_sentence(effect: Effect, run: Run) -> str:
    value = factor_value(run, effect.factor)
    text = f"{factor_words(effect.factor)} {value_words(value)}: {BADGES[effect.verdict].text}"
    if lower := effect.lower.get(value):
        text += f", ends lower than {listed(list(map(value_words, lower)))}"
    if effect.verdict == "confounded":
        return f"{text} with {listed(list(map(factor_words, effect.confounders)))}."
    if effect.ratio is not None:
        ends = f"{value_words(effect.high)} over {value_words(effect.low)}"
        text += f"; loss at {ends} {ratio_text(effect)}"
    return text + "."


def _place_sentence(ranked: RankedConfiguration, of_class: ComparabilityClass) -> str:
    count = len(of_class.ranking)
    if count == 1:
        return "The only finished configuration of its class."
    if ranked.tied:
        return f"Place {ranked.place} of {count} in its class; it cannot be told from the best."
    if ranked.place > 1:
        known = "the best is lower by more than noise explains"
        return f"Place {ranked.place} of {count} in its class; {known}."
    text = f"Lowest loss of {count} configurations of its class"
    if of_class.best is not None:
        return f"{text}, by more than noise explains."
    return f"{text}, not known to be the best: {'; '.join(doubts(of_class))}."


def config_words(run: Run) -> str:
    """Data, parts, and every setting that is not its trainer's default, in a line."""
    settings, own = run.settings, run.stored.hyperparameters if run.stored else None
    fields = type(own).model_fields if own else all_hyperparameters()
    words = [
        f"{factor_words(name)} {shown(settings[name], name)}"
        for name in _FIRST_SETTINGS
        if settings.get(name) is not None
    ]
    words.append(f"trained parts: {factor_value(run, 'trainable_parts') or 'not known'}")
    words += [
        f"{factor_words(name)} {shown_setting(value)}"
        for name, value in settings.items()
        if name not in (*_FIRST_SETTINGS, *_PART_FLAGS)
        and value is not None
        and not (name in fields and value == fields[name].get_default(call_default_factory=True))
    ]
    warning = frames_warning(run.frames)
    dataset = (run.dataset or "dataset not known") + (f" ({warning})" if warning else "")
    return f"{dataset}; {', '.join(words)}"


def commands(run: Run) -> list[str]:
    """What to type to train a run's configuration again.

    A run of the store is an experiment and is named; its trainer may know other commands for it.
    Of an imported run these are arguments of NVIDIA's script, as far as its source has them.
    """
    if run.stored is not None:
        experiment = run.stored.experiment
        return [run.stored.command, *trainer_named(experiment.trainer).shell_commands(experiment)]
    settings = {**run.settings, "data_config": run.data.get("data config")}
    options = [
        f"{name.replace('_', '-')} {shlex.quote(printable(shown_setting(settings[name]), False))}"
        for name in _SCRIPT_VALUES
        if settings.get(name) not in (None, "") and (name != "lora_rank" or settings[name])
    ]
    options += [
        ("" if settings[name] else "no-") + name.replace("_", "-")
        for name in _PART_FLAGS
        if name in settings
    ]
    return " \\\n  --".join(["python scripts/gr00t_finetune.py", *options]).splitlines()


FILE = "research_journal.md"
NOTES = Path("data/journal/notes")  # In the project
MOST_ROWS = 20  # Rows of one ranking; the report has them all
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Note:
    """A note by the name of its file."""

    name: str
    text: str  # What the person wrote, without the front matter
    kind: Literal["experiment", "question", "general", "unknown"] = "general"
    subject: str = ""  # The experiment or factor that it is about
    problem: str = ""  # Why that cannot be told

    @property
    def quoted(self) -> str:
        """The note in a journal, each line quoted, so that its headings stay inside it."""
        lines = [f"> {line}".rstrip() for line in self.text.strip("\r\n").splitlines()]
        return "\n".join([f"> *Note {markdown(self.name)}*", ">", *(lines or ["> (empty)"])])


class Journal(NamedTuple):
    """A written journal, and what from; not ``changed`` where the file says the same already."""

    path: Path
    text: str
    changed: bool
    notes: tuple[Note, ...]
    verdict: str  # What is best and whether that is known


def write_journal(
    sweeps: Sequence[Sweep],
    store: Store,
    notes_folder: Path | None = None,
    imported: Sequence[Run] | None = None,
) -> Journal:
    """Write the journal of every sweep in one step; the former one stays where the disk is full.

    It holds nothing but what the runs and the notes say: no clock, and no order of files on disk.
    Notes are in ``data/journal/notes``, ``imported`` runs those of the project's table and of W&B,
    where they are left out.
    """
    ordered = sorted(sweeps, key=lambda sweep: sweep.name)
    stored = {sweep.name: read_runs(sweep.experiments, store) for sweep in ordered}
    everything = [item for of_sweep in stored.values() for item in of_sweep]
    comparisons, problems = compare_everything(from_store(everything), store, imported)
    names = {item.name for item in everything}
    names |= {run.name for comparison in comparisons for run in comparison.runs}
    notes = read_notes(notes_folder or project_root() / NOTES, names)
    planned = {
        sweep: missing
        for sweep, of_sweep in stored.items()
        if (missing := [item.name for item in of_sweep if item.status == "missing"])
    }
    text = journal_text(comparisons, planned, notes, problems)
    path = store.reports / FILE
    changed = not path.is_file() or path.read_bytes() != text.encode()
    if changed:
        write_bytes(path, text.encode())
    return Journal(path, text, changed, tuple(notes), short_verdict(comparisons))


def journal_text(
    comparisons: Sequence[Comparison],
    planned: Mapping[str, Sequence[str]],
    notes: Sequence[Note] = (),
    problems: Sequence[str] = (),
) -> str:
    """The whole journal, the same bytes from the same runs, ``planned`` experiments and notes."""
    names = {run.name for comparison in comparisons for run in comparison.runs}
    factors = {answer.factor for comparison in comparisons for answer in comparison.answers}

    def unplaced(note: Note) -> str:
        """Why a note stands at the end; '' where it has a place."""
        if note.kind == "experiment" and note.subject not in names:
            return f"{note.subject} has not run yet"
        if note.kind == "question" and note.subject not in factors:
            return f"nothing was run that asks about {factor_words(note.subject)} yet"
        return note.problem

    template = markdown_environment().get_template("journal.md.j2")
    text = template.render(
        entries=entries,
        config_words=config_words,
        commands=commands,
        comparisons=comparisons,
        planned=planned,
        notes=notes,
        unplaced=[(note, reason) for note in notes if (reason := unplaced(note))],
        problems=problems,
        notes_folder=NOTES.as_posix(),
        most_rows=MOST_ROWS,
    )
    return tidy(text) + "\n"


def read_notes(folder: Path, experiments: Collection[str]) -> list[Note]:
    """Every note of a folder, which need not exist, by name; also those without a place."""
    files = sorted(folder.glob("[!.]*.md"), key=lambda file: file.name)
    return [_read(file, experiments) for file in files]


def _read(file: Path, experiments: Collection[str]) -> Note:
    name, text, subject = printable(file.name, lines=False), "", ""
    try:
        text = printable(file.read_bytes().decode("utf-8-sig", errors="replace"))
        front_matter = _FRONT_MATTER.match(text)
        if front_matter is None:
            return Note(name, text)
        text = text[front_matter.end() :]
        match yaml.load(front_matter.group(1), yaml.BaseLoader):  # a name is no number or date
            case None:
                return Note(name, text)
            case {"experiment": str(subject), **others} if not others:
                if subject in experiments:
                    return Note(name, text, "experiment", subject)
                known = sorted(experiments)
                hint = did_you_mean(subject, known) if known else "there are none yet"
                problem = f"there is no experiment '{subject}'; {hint}"
            case {"question": str(subject), **others} if not others:
                return Note(name, text, "question", factor_named(subject))
            case _:
                problem = "its front matter has to be 'experiment: NAME' or 'question: FACTOR'"
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
    except (yaml.YAMLError, RecursionError) as error:
        problem = f"its front matter is no YAML: {str(error).splitlines()[0]}"
    except ComparisonError as error:
        problem = f"there is no question '{subject}'; {error.problem}"
    return Note(name, text, "unknown", subject, problem)
