"""The asset ``research_journal``: what was tried, what came of it, and what is open."""

import hashlib

import dagster as dg

from gr00t_assets.defs.assets.comparison import loss_comparison
from gr00t_assets.defs.assets.datasets import OWNERS
from gr00t_assets.defs.automation import FOLLOW_COMPARISON
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import in_store
from gr00t_assets.defs.partitions import SWEEPS
from gr00t_assets.defs.resources import StoreResource


@dg.asset(
    deps=[loss_comparison],
    automation_condition=FOLLOW_COMPARISON,
    group_name="analysis",
    kinds={"markdown"},
    owners=OWNERS,
    code_version="1",
)
@explained
def research_journal(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """Hypothesis, config, result and conclusion of every experiment; findings; what to run next.

    Written from the runs; notes in ``data/journal/notes`` are kept and placed. The same runs and
    notes give the same file.
    """
    from gr00t_assets.reporting.journal.write import write_journal

    journal = write_journal(list(SWEEPS.values()), store)
    context.log.info(f"{'written' if journal.changed else 'unchanged'}: {journal.path.name}")
    unplaced = [note for note in journal.notes if note.problem]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(hashlib.sha256(journal.text.encode()).hexdigest()[:16]),
        metadata={
            "verdict": dg.MetadataValue.text(journal.verdict),
            "journal": dg.MetadataValue.md(journal.text),
            "changed": journal.changed,
            "notes": len(journal.notes),
            **(
                {"notes without a place": "; ".join(f"{n.name}: {n.problem}" for n in unplaced)}
                if unplaced
                else {}
            ),
            "file": in_store(journal.path, store),
        },
    )
