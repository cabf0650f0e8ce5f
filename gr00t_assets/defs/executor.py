"""The executor of every run: in the run's own process, and patient where it waits for a pool.

Dagster's own in-process executor, waiting for a place in a pool, asks for it without a pause: it
keeps a core busy for as long as it waits. And it looks at the pool more and more rarely, at last
every 15 s, in which a free GPU idles.
"""

import time
from collections.abc import Iterator
from unittest.mock import patch

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.executor import in_process
from dagster._core.executor.in_process import InProcessExecutor

LOOK_AGAIN = 0.5
"""Seconds between two looks at a pool that is full."""


class PatientConcurrencyContext(InstanceConcurrencyContext):
    """A run's places in pools, asked for every ``LOOK_AGAIN`` seconds and not in between."""

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Whether the step has its place; where it has not, when to ask again is noted."""
        claimed = super().claim(concurrency_key, step_key, step_priority)
        if not claimed and step_key in self._pending_timeouts:
            soon = time.time() + LOOK_AGAIN
            self._pending_timeouts[step_key] = min(self._pending_timeouts[step_key], soon)
        return claimed

    def interval_to_next_pending_claim_check(self) -> float:
        """Seconds to sleep before a place is asked for again."""
        return LOOK_AGAIN if self.has_pending_claims() else 0.0


class PatientInProcessExecutor(InProcessExecutor):
    """Dagster's in-process executor with :class:`PatientConcurrencyContext`.

    The names are no public ones of Dagster: the project pins ``dagster<1.14``, and a test measures
    the processor time of a run that waits.
    """

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Run the plan; the process has this one run, so that the exchange reaches no other."""
        with patch.object(in_process, "InstanceConcurrencyContext", PatientConcurrencyContext):
            yield from super().execute(plan_context, execution_plan)
