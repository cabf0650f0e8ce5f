"""The asset ``open_loop_evaluation``: how far a policy's actions are from recorded ones."""

import dagster as dg

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.defs.assets.checkpoints import checkpoint
from gr00t_assets.defs.assets.datasets import OWNERS
from gr00t_assets.defs.evaluation_metadata import evaluation_metadata
from gr00t_assets.defs.evaluation_process import run_evaluation
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.partitions import EXPERIMENTS, experiment_partitions
from gr00t_assets.defs.queue import GPU
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.evaluation.result import load_evaluation
from gr00t_assets.runs.spec import make_spec


@dg.asset(
    partitions_def=experiment_partitions,
    deps=[checkpoint],
    group_name="analysis",
    kinds={"pytorch"},
    owners=OWNERS,
    code_version="1",
    pool=GPU,
)
@explained
def open_loop_evaluation(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """Predicted against recorded actions, on held-out episodes and on ones seen in training.

    With intervals, beside holding the state and the mean action, and with a swap of prompts that
    tells whether language is used. It is not success on a robot. What was evaluated with the same
    weights before is not evaluated again.
    """
    spec = make_spec(EXPERIMENTS[context.partition_key], store)
    if not spec.run_directory.is_dir():
        command = (
            "run: dagster asset materialize -m gr00t_assets.definitions "
            f"--select checkpoint --partition {context.partition_key}"
        )
        problem = "its present configuration was not trained, so there is nothing to evaluate."
        raise EvaluationError(context.partition_key, problem, [command])
    run_evaluation(context, spec, store)
    evaluation = load_evaluation(spec.run_directory)
    assert evaluation is not None
    return dg.MaterializeResult(
        data_version=dg.DataVersion(evaluation.content_hash()),
        metadata=evaluation_metadata(evaluation, spec, store),
    )
