"""Assets that follow training: the comparison, the research journal, the promoted model."""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from gr00t_assets.core.files import json_hash
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.defs import metadata as show
from gr00t_assets.defs.assets.evaluation import open_loop_evaluation, rollouts
from gr00t_assets.defs.assets.training import checkpoint
from gr00t_assets.defs.failures import explained_asset
from gr00t_assets.defs.partitions import EXPERIMENTS, SWEEPS, experiment_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.reporting.promotion.record import Promotion, promoted_folder

if TYPE_CHECKING:
    from gr00t_assets.comparison.statistics.ranking import ComparabilityClass
    from gr00t_assets.reporting.report import Report

_RANKING_HEAD = ("class", "rank", "experiment", "loss", "chance best")

_MOST_IMAGES, _MOST_RANKED = 6, 10
"""Sweeps whose curves are drawn for the page, and configurations of a class that are listed; the
report has them all."""


def _when_new(label: str) -> dg.AutomationCondition:
    """Asks for an asset as soon as something of what it reads is new, until it was asked for.

    ``AutomationCondition.eager`` waits for every partition of ``checkpoint``, and while any of them
    trains: overnight that is until the morning. A checkpoint that arrives while a comparison is at
    work is remembered and asks for another one after it: the comparison that is just being written
    has not read it. So only a request ends the remembering, and since Dagster tells of a request
    one tick late, not where a checkpoint has arrived within that tick.
    """
    arrived = dg.AutomationCondition.any_deps_updated()
    until = (dg.AutomationCondition.newly_requested() & ~arrived) | (
        dg.AutomationCondition.initial_evaluation()
    )
    return (arrived.since(until) & ~dg.AutomationCondition.in_progress()).with_label(label)


@explained_asset(
    "analysis",
    {"pandas"},
    deps=[
        dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())
        for asset in (checkpoint, open_loop_evaluation, rollouts)
    ],
    automation_condition=_when_new(
        "a checkpoint, an evaluation or rollouts have arrived since the comparison was last asked "
        "for"
    ),
    code_version="2",
)
def loss_comparison(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """What is best, by how much, whether that is known, and what to run next.

    It reads run directories and runs with whatever is there: missing, stale, failed and unfinished
    runs are listed, never ranked.
    """
    from gr00t_assets.reporting.report import make_report

    report = make_report(list(SWEEPS.values()), store).write()
    runs = [run for of_sweep in report.stored.values() for run in of_sweep]
    # Of the sweeps that the report shows: those that never ran are only counted.
    counts = sum((summary.counts for summary in report.sweeps), Counter[str]())
    statuses = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "no runs"
    sweeps = f"{len(report.sweeps)} of {counted(len(SWEEPS), 'sweep')}"
    cautions = [f"{item.sweep.name}: {text}" for item in report.sweeps for text in item.cautions]
    # The same runs give the same version.
    compared = [
        [run.name, run.config_hash, run.status, run.final_loss.mean if run.final_loss else None]
        for run in runs
    ]
    context.log.info(f"{sweeps}; {statuses}")
    for problem in report.problems:
        context.log.warning(problem)
    return show.result(
        json_hash(compared, 16),
        {
            "verdict": dg.MetadataValue.text(report.verdict),
            **_comparison(report),
            "status": f"{statuses}, in {sweeps}",
            "cautions": show.bullets(cautions) if cautions else None,
            "curves": _curves(report),
            "everything": dg.MetadataValue.md(report.markdown()),
            "experiments": len({run.name for summary in report.sweeps for run in summary.runs}),
            "runs_finished": counts["finished"],
            "report": dg.MetadataValue.url(f"{show.REPORTS}/{report.path.name}"),
            "report_file": show.stored_path(report.path, store.root),
        },
    )


def _comparison(report: "Report") -> show.Metadata:
    """Answers, rankings and what to run next, of the store's runs."""
    from gr00t_assets.reporting.markdown import answers_markdown, class_heading, proposals_markdown

    shown: show.Metadata = {}
    for comparison in report.comparisons:
        if comparison.answers:
            shown["questions_and_answers"] = dg.MetadataValue.md(answers_markdown(comparison))
        classes = comparison.ranked_classes
        if rows := [row for item in classes for row in _ranking(item, class_heading(item))]:
            shown["ranking"] = show.table(_RANKING_HEAD, rows)
        if comparison.proposals:
            proposals = proposals_markdown(comparison.proposals)
            shown["what_to_run_next"] = dg.MetadataValue.md(proposals)
    return shown


def _ranking(ranked_class: "ComparabilityClass", heading: str) -> list[list[str]]:
    """Rank, loss and chance of the first configurations of a class, lowest loss first.

    The page's table is narrow: of the class the data and the id are shown; the report has it all.
    """
    from gr00t_assets.comparison.wording import chance_words, first_label, loss_and_interval

    name = f"{heading.partition(' · ')[0]} [{ranked_class.id}]"
    rows = [
        [
            name,
            f"{ranked.place}{' ≈' if ranked.tied else ''}",
            first_label(ranked.runs),
            ", ".join(filter(None, loss_and_interval(ranked))),
            "" if ranked.chance_best is None else chance_words(ranked.chance_best),
        ]
        for ranked in ranked_class.ranking[:_MOST_RANKED]
    ]
    more = len(ranked_class.ranking) - len(rows)
    return [*rows, [name, "", f"and {more} more", "", ""]] if more else rows


def _curves(report: "Report") -> dg.MetadataValue:
    """The loss curves of every sweep that has some, as images."""
    from gr00t_assets.reporting.images import curves_png

    images = [
        show.image(curves_png(summary.runs), f"training loss of {summary.sweep.name}")
        for summary in report.sweeps[:_MOST_IMAGES]
        if any(run.curve for run in summary.runs)
    ]
    return dg.MetadataValue.md(
        "\n\n".join(str(image.md_str) for image in images) or "no loss logged yet"
    )


@explained_asset(
    "analysis",
    {"markdown"},
    deps=[loss_comparison],
    automation_condition=_when_new("the comparison has been written since this was last asked for"),
)
def research_journal(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """Hypothesis, config, result and conclusion of every experiment; findings; what to run next.

    Written from the runs; notes in ``data/journal/notes`` are kept and placed. The same runs and
    notes give the same file.
    """
    from gr00t_assets.reporting.research_journal import write_journal

    journal = write_journal(list(SWEEPS.values()), store)
    context.log.info(f"{'written' if journal.changed else 'unchanged'}: {journal.path.name}")
    unplaced = [f"{note.name}: {note.problem}" for note in journal.notes if note.problem]
    return show.result(
        hashlib.sha256(journal.text.encode()).hexdigest()[:16],
        {
            "verdict": dg.MetadataValue.text(journal.verdict),
            "journal": dg.MetadataValue.md(journal.text),
            "changed": journal.changed,
            "notes": len(journal.notes),
            "notes_without_place": "; ".join(unplaced) or None,
            "file": show.stored_path(journal.path, store.root),
        },
    )


@explained_asset(
    "promotion",
    {"huggingface"},
    partitions_def=experiment_partitions,
    deps=[open_loop_evaluation, rollouts],
)
def promoted_model(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """Weights, model card and record of a model that beats doing nothing, where that is shown.

    Anything else is refused, with every reason; on a terminal `gr00t-assets model promote
    EXPERIMENT --because "..."` promotes it all the same. A checkpoint of the run that was promoted
    there is shown in place of the final weights. What was promoted stays as it is. Pushing to the
    Hub is asked for on a terminal too: `--push OWNER/NAME`.
    """
    from gr00t_assets.reporting.promotion.promote import promote, promoted_step

    experiment = EXPERIMENTS[context.partition_key]
    record = promote(experiment, store, promoted_step(experiment, store))
    context.log.info(record.verdict)
    return promotion_result(record, store)


def promotion_result(record: Promotion, store: Store) -> dg.MaterializeResult:
    """Of a promoted model."""
    from gr00t_assets.reporting.promotion.promote import CARD
    from gr00t_assets.reporting.promotion.record import pushes

    folder = promoted_folder(store, record.experiment, record.config_hash, record.step)
    hubs = {push.url: push.commit for push in pushes(folder)}
    return show.result(
        "-".join(sorted(record.weights.values()))[:64],
        {
            "verdict": record.verdict,
            "success": record.success_text or "not rolled out",
            "weights_of": "the end of the run"
            if record.step is None
            else f"step {record.step}: {record.chosen or 'asked for by its step'}",
            "experiment": record.experiment,
            "model_card": dg.MetadataValue.md((folder / CARD).read_text(encoding="utf-8")),
            "loss": show.readable(record.loss),
            "loss_se": "cannot be told"
            if record.loss_standard_error is None
            else show.readable(record.loss_standard_error),
            "promoted_at": record.promoted_at,
            "commit": record.commit or "none",
            "pushed": show.table(["repository", "commit"], hubs.items()) if hubs else "not pushed",
            "folder": show.stored_path(folder, store.root),
            "config_hash": record.config_hash,
            "weights": show.table(["file", "sha256"], record.weights.items()),
        },
    )
