"""What may be promoted, and what a promoted model consists of."""

import json
from typing import Any

import pytest
import yaml

from gr00t_assets.core.errors import PromotionError
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.reporting.promotion.model_card import base_license
from gr00t_assets.reporting.promotion.promote import CHECKS, promote
from gr00t_assets.reporting.promotion.record import load_promotion
from gr00t_assets.runs.final_loss import RULE, LossWindow
from gr00t_assets.runs.manifest import load_manifest, save_manifest
from gr00t_assets_tests.reporting.promotion.conftest import BECAUSE, Trained


def change(trained: Trained, **fields: Any) -> None:
    manifest = load_manifest(trained.run)
    assert manifest is not None
    save_manifest(manifest.model_copy(update=fields), trained.run)


def reasons(trained: Trained) -> tuple[str, ...]:
    with pytest.raises(PromotionError) as refused:
        trained.promote()
    assert not trained.promoted.exists()
    return refused.value.details


def test_a_good_model_gets_a_card_a_record_and_its_weights(trained):
    record = trained.promote()
    folder = trained.promoted
    assert load_promotion(folder) == record
    assert record.checks == dict.fromkeys(CHECKS, True)
    assert list(record.weights) == ["model.safetensors"]
    assert len(record.weights["model.safetensors"]) == 64
    weights = folder / "model.safetensors"
    assert weights.samefile(trained.run / "model" / "model.safetensors"), "linked, not copied"
    for name in ("config.json", "modality_config.json", "experiment_cfg/metadata.json"):
        assert (folder / name).read_bytes() == (trained.run / "model" / name).read_bytes()


def test_the_card_has_what_a_person_must_know(trained):
    record = trained.promote()
    text = (trained.promoted / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    front = yaml.safe_load(head)
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "gr00t-assets"
    assert front["pipeline_tag"] == "robotics"
    assert {"robotics", "gr00t", "fourier_gr1_arms_only"} <= set(front["tags"])
    assert "base_model" not in front and "datasets" not in front, "neither is on the Hub"
    for part in ("Data", "Training", "Open-loop evaluation", "Limits", "How to load", "Licence"):
        assert f"## {part}" in body
    assert record.loss_standard_error is None
    assert "standard error not known" in body, "four steps cannot tell it"
    assert "held out: error" in body and "mean action" in body
    assert "it is not success on a robot" in body
    assert record.comparability_class in body
    assert "Four steps" not in body, "the hypothesis is that of the time of the run"
    assert str(trained.store.root) not in text and "/tmp" not in text


def test_the_card_is_one_that_the_hub_can_read(trained):
    from huggingface_hub import ModelCard

    trained.promote()
    card = ModelCard.load(trained.promoted / "README.md")
    assert card.data.to_dict()["license"] == "apache-2.0"


def test_promoting_again_changes_nothing(trained):
    first = trained.promote()
    files = {path: path.stat().st_mtime_ns for path in trained.promoted.rglob("*")}
    assert trained.promote() == first
    assert {path: path.stat().st_mtime_ns for path in trained.promoted.rglob("*")} == files


def test_other_weights_never_replace_promoted_ones(trained):
    trained.promote()
    record = trained.promoted / "promotion.json"
    content = json.loads(record.read_text())
    content["weights"]["model.safetensors"] = "0" * 64
    del content["checksum"]
    record.write_text(json.dumps(content))
    with pytest.raises(PromotionError, match="another model was promoted"):
        trained.promote()
    assert json.loads(record.read_text()) == content


def test_every_reason_is_given_at_once(trained):
    checks = {**dict.fromkeys(CHECKS, True), "loss_is_finite": False}
    change(trained, status="interrupted", frames_verified=False, checks=checks, steps=2)
    (trained.run / "evaluation.json").unlink()
    found = reasons(trained)
    assert len(found) == 4
    expected = ("not finished", "failed check loss_is_finite", "not verified", "was not evaluated")
    for words in expected:
        assert any(words in line for line in found), words


@pytest.mark.parametrize("status", ["failed", "pruned"])
def test_a_run_that_did_not_finish_is_refused(trained, status):
    change(trained, status=status, failure="it says why")
    assert f"it is not finished: {status}" in reasons(trained)[0]


def test_a_stale_run_is_refused_and_named(trained):
    longer = trained.experiment.hyperparameters.model_copy(update={"max_steps": 8})
    changed = trained.experiment.model_copy(update={"hyperparameters": longer})
    with pytest.raises(PromotionError, match=f"runs are stale \\({trained.run.name}\\)"):
        promote(changed, trained.store, because=BECAUSE)
    unknown = trained.experiment.model_copy(update={"name": "never"})
    with pytest.raises(PromotionError, match="has not been trained"):
        promote(unknown, trained.store, because=BECAUSE)


def test_checks_are_made_and_not_believed(trained):
    weights = trained.run / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    found = reasons(trained)
    assert any("failed check weights_load_and_act" in line for line in found)
    assert any("evaluation is of other weights" in line for line in found)


def test_a_loss_with_a_known_error_is_shown_with_it(trained):
    window = LossWindow(mean=0.125, standard_error=0.0034, steps=20, samples=160, rule=RULE)
    change(trained, final_loss=window)
    record = trained.promote()
    assert record.loss_standard_error == 0.0034
    assert window.text in (trained.promoted / "README.md").read_text()


def test_the_licence_is_that_of_the_base(tmp_path):
    trainer = trainer_named("native")
    assert base_license("tiny", trainer).identifier == "apache-2.0"
    released = base_license("nvidia/GR00T-N1.5-3B", trainer)
    assert (released.identifier, released.name) == ("other", "nscl-v1")
    assert base_license(str(tmp_path), trainer).name == "unknown"
    for more in ("", "date: 2026-02-30\n"):
        (tmp_path / "README.md").write_text(f"---\nlicense: mit\n{more}---\n# mine\n")
        assert base_license(str(tmp_path), trainer).identifier == "mit"
    (tmp_path / "README.md").write_text(f"---\nlicense: {'[' * 3000}\n---\n")
    assert base_license(str(tmp_path), trainer).name == "unknown"
