"""Plans over folders of weights; only what is opened as a policy has to be a model."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.trials.plan import TrialPlan, make_plan, publish_plan
from gr00t_assets.runs.model_reference import ModelReference

PlanMaker = Callable[..., TrialPlan]


def weights(folder: Path, name: str, content: bytes | None = None) -> ModelReference:
    """A folder with one file of weights, as the model of a finished run has it."""
    model = folder / "runs" / name / "0123456789abcdef" / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "model.safetensors").write_bytes(content or name.encode())
    return ModelReference(name, model, "native", model.parent, None)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    return Store(tmp_path / "store")


@pytest.fixture
def planned(store: Store) -> PlanMaker:
    """Publishes a plan of so many policies and conditions."""

    def make(policies: int = 2, conditions: int = 4, **options: object) -> TrialPlan:
        models = [weights(store.root, f"policy-{place}") for place in range(policies)]
        asked: dict[str, object] = {"name": "arm", "repeats": 1, "seed": 7, **options}
        texts = [f"can at place {place}" for place in range(conditions)]
        plan = make_plan(models=models, conditions=texts, store=store, **asked)  # type: ignore[arg-type]
        publish_plan(plan, store)
        return plan

    return make
