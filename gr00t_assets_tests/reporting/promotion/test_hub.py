"""Pushing to a local server that speaks the Hub's API."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.errors import PromotionError
from gr00t_assets.reporting.promotion.record import PUSHES, push, pushes
from gr00t_assets_tests.defs.project import CHECKOUT, Project
from gr00t_assets_tests.reporting.promotion.conftest import BECAUSE

REASON = ("--because", BECAUSE)


def test_a_promoted_model_is_pushed_whole(trained, hub):
    record = trained.promote()
    done = push(record, trained.promoted, "me/small", private=True)
    files = hub.files["me/small"]
    assert hub.private["me/small"]
    sent = {path.relative_to(trained.promoted).as_posix() for path in trained.promoted.rglob("*")
            if path.is_file() and path.name != PUSHES}  # fmt: skip
    assert sent <= set(files)
    for name in sent:
        assert files[name] == (trained.promoted / name).read_bytes(), name
    weights = hashlib.sha256(files["model.safetensors"]).hexdigest()
    assert weights == record.weights["model.safetensors"]
    assert done.url == f"{hub.endpoint}/me/small"
    assert hub.commits == [f"{record.experiment} {record.config_hash}"]
    assert pushes(trained.promoted) == [done]


def test_pushing_again_sends_no_weights_and_not_the_list_of_pushes(trained, hub):
    record = trained.promote()
    push(record, trained.promoted, "me/small")
    uploads = hub.uploads
    push(record, trained.promoted, "me/small")
    assert hub.uploads == uploads == 1
    assert PUSHES not in hub.files["me/small"]
    assert len(pushes(trained.promoted)) == 2


def test_a_public_repository_does_not_get_a_private_model(trained, hub):
    record = trained.promote()
    hub.files["me/small"], hub.private["me/small"] = {}, False
    with pytest.raises(PromotionError, match="is public"):
        push(record, trained.promoted, "me/small", private=True)
    assert hub.files["me/small"] == {}
    assert pushes(trained.promoted) == []


def test_a_token_that_is_refused_is_never_shown(trained, hub, monkeypatch):
    record = trained.promote()
    monkeypatch.setenv("HF_TOKEN", "hf_anothersecret")
    with pytest.raises(PromotionError) as refused:
        push(record, trained.promoted, "me/small")
    assert "HTTP 401" in str(refused.value) and "hf auth login" in str(refused.value)
    assert "hf_anothersecret" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert load_all(trained.promoted).find(b"hf_") == -1


def load_all(folder) -> bytes:
    texts = [path for path in folder.rglob("*") if path.suffix in (".md", ".json", ".jsonl")]
    return b"".join(path.read_bytes() for path in texts)


def test_no_hub_is_said_and_the_promotion_stays(trained, monkeypatch):
    record = trained.promote()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    with pytest.raises(PromotionError, match="did not take the model"):
        push(record, trained.promoted, "me/small")
    with pytest.raises(PromotionError, match="owner/name"):
        push(record, trained.promoted, "small")
    assert trained.promote() == record


def test_the_command_promotes_and_pushes(trained, hub):
    done = CliRunner().invoke(app, ["model", "promote", "small-run", *REASON, "--push", "me/small"])
    assert done.exit_code == 0, done.output
    assert f"pushed: {hub.endpoint}/me/small, commit" in done.output
    assert hub.token not in done.output
    assert not hub.private["me/small"]


def test_the_page_knows_of_a_push_of_what_was_promoted_before(trained, hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    root = Path(os.environ["GR00T_ASSETS_ROOT"])
    shutil.copy(CHECKOUT / "dagster.yaml", root)
    command = [sys.executable, "-m", "gr00t_assets.cli.main", "model", "promote", "small-run"]
    for more in ((), ("--push", "me/small")):
        done = subprocess.run(
            [*command, *REASON, *more], text=True, capture_output=True, check=True
        )
        assert "warning" not in done.stderr
    with Project(root).instance() as instance:
        told = instance.get_latest_materialization_event(dg.AssetKey("promoted_model"))
    assert told is not None and told.asset_materialization is not None
    shown = told.asset_materialization.metadata["pushed"].value
    assert f"{hub.endpoint}/me/small" in str(shown)
