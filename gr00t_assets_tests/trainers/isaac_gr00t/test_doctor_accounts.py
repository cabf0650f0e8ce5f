"""The doctor finds keys and the base model's files, and shows and downloads nothing."""

import json
from pathlib import Path

import pytest

from gr00t_assets_tests.trainers.isaac_gr00t.environments import run_doctor

pytestmark = pytest.mark.usefixtures("driver")


def test_keys_are_found_and_never_shown(tmp_path: Path):
    home = tmp_path / "home"
    (home / ".cache" / "huggingface").mkdir(parents=True)
    (home / ".cache" / "huggingface" / "token").write_text("hf_secret_in_a_file")
    (home / ".netrc").write_text("machine api.wandb.ai login user password secret_in_netrc\n")
    (home / ".netrc").chmod(0o600)
    store_at = {"HOME": str(home), "GR00T_ASSETS_STORE": str(tmp_path / "store")}
    in_files = run_doctor(str(tmp_path), "--json", **store_at)
    in_variables = run_doctor(
        str(tmp_path), "--json", **store_at, WANDB_API_KEY="secret_key", HF_TOKEN="hf_secret"
    )
    for result, wandb, hub in (
        (in_files, ".netrc for api.wandb.ai", "huggingface/token"),
        (in_variables, "WANDB_API_KEY in the environment", "HF_TOKEN in the environment"),
    ):
        assert "secret" not in result.stdout + result.stderr
        by_code = {item["code"]: item for item in json.loads(result.stdout)["findings"]}
        assert by_code["wandb-key"]["severity"] == by_code["hub-token"]["severity"] == "ok"
        assert wandb in by_code["wandb-key"]["found"] and hub in by_code["hub-token"]["found"]


def test_a_base_model_counts_as_there_with_all_of_its_files(tmp_path: Path):
    cache = tmp_path / "hub"
    model = cache / "models--nvidia--GR00T-N1.5-3B"
    snapshot = model / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("a" * 40)
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    for name in ("config.json", "model-1.safetensors"):
        (snapshot / name).write_text("{}")
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))

    def severity(**variables: str) -> str:
        at = {"HF_HUB_CACHE": str(cache), "GR00T_ASSETS_STORE": str(tmp_path / "store")}
        answer = json.loads(run_doctor(str(tmp_path), "--json", **at, **variables).stdout)
        severity_of = {item["code"]: item["severity"] for item in answer["findings"]}
        return severity_of["base-model"]

    assert severity() == "warning"
    assert severity(HF_HUB_OFFLINE="1") == "error"
    (snapshot / "model-2.safetensors").write_text("")
    assert severity() == "ok"
