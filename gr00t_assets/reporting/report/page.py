"""The page: every subject and sweep written into one file that works offline."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from gr00t_assets.reporting.report.apart import apart_rows
from gr00t_assets.reporting.report.evaluated import NEITHER
from gr00t_assets.reporting.report.front import front
from gr00t_assets.reporting.report.packed import packed_json, packed_plotly
from gr00t_assets.reporting.report.price import Price
from gr00t_assets.reporting.report.sections import Section
from gr00t_assets.reporting.report.subject import Subject
from gr00t_assets.reporting.report.verdicts import MARKS
from gr00t_assets.reporting.report.views import Figures, SubjectView, status_words, subject_view

STORE = "store"
"""Key of the subject that has the runs of the store; every other one is imported."""


def render(
    subjects: Sequence[Subject],
    sections: Sequence[Section],
    sweep_names: Sequence[str],
    price: Price | None = None,
    problems: Sequence[str] = (),
) -> str:
    """The whole page; everything that comes from files is escaped.

    Args:
        subjects: The store's first.
        sections: One a sweep that is reported.
        sweep_names: Of every sweep of the project.
        price: Of a GPU-hour, where one was given.
        problems: What kept something from the page, a sentence each.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gr00t_assets.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = Figures()
    views = [_view(each, sections, figures, price) for each in subjects]
    reported = {section.name for section in sections}
    return environment.get_template("page.html.j2").render(
        front=front(list(zip(subjects, views, strict=True))),
        summary=summary(subjects, sections),
        subjects=views,
        sweeps=sections,
        without_runs=[name for name in sweep_names if name not in reported],
        problems=problems,
        marks=list(MARKS.values()),
        neither=NEITHER,
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        plotly=packed_plotly() if figures.held else "",
        packed=packed_json(figures.held) if figures.held else "",
    )


def summary(subjects: Sequence[Subject], sections: Sequence[Section]) -> str:
    """How many runs of each status, classes and sweeps, in a line."""
    statuses: Counter[str] = Counter()
    for section in sections:
        statuses.update(dict(section.counts))
    words = [status_words(statuses)] if statuses else []
    for subject in subjects:
        if subject.key != STORE:
            words.append(f"{len(subject.observations)} imported")
    return " · ".join(words) or "no runs"


def _view(
    subject: Subject, sections: Sequence[Section], figures: Figures, price: Price | None
) -> SubjectView:
    if subject.key != STORE:
        apart = apart_rows(subject.observations)
        return subject_view(subject, figures, price, apart, imported=True)
    return subject_view(
        subject, figures, price, [row for section in sections for row in section.unranked]
    )
