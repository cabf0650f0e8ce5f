"""A trainer that failed, on its run's page: one message, and the end of the log beside it."""

from collections.abc import Sequence

import dagster as dg

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedFailureError
from gr00t_assets.defs.metadata import in_store
from gr00t_assets.runs.ends import EXIT_CODE, FAILURE
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.run_directory import LOG
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.ends import AGAIN
from gr00t_assets.trainers.failures.explain import as_explained, explain, is_explained


def training_failure(
    spec: TrainingSpec,
    code: int,
    manifest: Manifest | None,
    last_lines: Sequence[str],
    store: Store,
) -> ExplainedFailureError:
    """Why a trainer ended without finishing.

    Args:
        spec: What was asked.
        code: Its exit code, 128 + n for signal n.
        manifest: What this attempt wrote of itself; its failure is taken where it is explained.
        last_lines: The end of this attempt's log.
        store: The store, as seen from which the log is named.
    """
    name, log = spec.experiment.name, in_store(spec.run_directory / LOG, store)
    explanation = explain(last_lines, code, spec)
    error = explanation.error(name, log)
    if code == 130:
        steps = f" at step {manifest.steps} of {manifest.max_steps}" if manifest else ""
        error = TrainingError(name, f"training was stopped{steps}.", [AGAIN, f"log: {log}"])
    elif code == 1 and manifest is not None and is_explained(manifest.failure):
        error = as_explained(manifest.failure, name, explanation.tail, log)
    tail = "\n".join(explanation.tail).replace("```", "'''")
    return ExplainedFailureError(
        error,
        {
            "log_tail": dg.MetadataValue.md(f"```text\n{tail}\n```"),
            "log": dg.MetadataValue.text(log),
            FAILURE: dg.MetadataValue.text(explanation.name),
            EXIT_CODE: dg.MetadataValue.int(code),
        },
    )
