"""Importing from W&B, against a server of this machine that answers as W&B does."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.comparison.all_runs import imported_runs, read_wandb
from gr00t_assets.comparison.tables.wandb_import import (
    WandbRun,
    import_wandb,
    imports_folder,
    load_wandb_runs,
    run_of_wandb,
    save_wandb_runs,
)
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.project import Store
from gr00t_assets.trainers.wandb_run import place_record
from gr00t_assets_tests.comparison.tables.hosted_runs import own_run, script_run
from gr00t_assets_tests.comparison.tables.wandb_public_server import KEY, wandb_public_server

ARGUMENTS = ("--dataset-path", "demo_data/robot_sim.PickNPlace")
FULL = (*ARGUMENTS, "--tune-llm", "--tune-visual", "--video-backend=torchvision_av")


def hosted():
    return [
        script_run("6jzsan5d", "overfit_best", (*ARGUMENTS, "--video-backend", "torchvision_av")),
        script_run("dvlv66is", "full_finetune", FULL, final=0.25, parquet=True),
        script_run("qbk0btb6", "half_way", ARGUMENTS, steps=100, state="running"),
        script_run("crashed1", "crashed", ARGUMENTS, steps=50, state="crashed"),
        script_run("stopped1", "stopped early", ARGUMENTS, steps=100, state="finished"),
        script_run("twogpus1", "two GPUs", None, gpus=2),
        script_run("othertag", "other", tags=("other",)),
        own_run("0a1b2c3d4e5f6071"),
    ]


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The store after an import, with the parquet file and what the server was asked."""
    root = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch, wandb_public_server(hosted()) as server:
        at_server(patch, server.url, root)
        store = Store(root / "store")
        result = CliRunner().invoke(
            app, ["import", "wandb", "lab/pippa", "--tag", "gr00t-overfit"], catch_exceptions=False
        )
        yield store, result, server


def at_server(patch, url, root):
    patch.setenv("WANDB_BASE_URL", url)
    patch.setenv("WANDB_API_KEY", KEY)
    patch.setenv("WANDB_DIR", str(root))
    patch.setenv("WANDB_CACHE_DIR", str(root / "cache"))
    patch.setenv("GR00T_ASSETS_STORE", str(root / "store"))
    patch.setenv("WANDB_MODE", "disabled")


def observations(store):
    runs = read_wandb(store)
    return {run.run_id: run_of_wandb(run, {"robot_sim.PickNPlace": 2096}) for run in runs}


def test_every_page_of_the_runs_with_the_tag_is_read(imported):
    store, result, server = imported
    assert result.exit_code == 0, result.output
    assert "imported: 7 runs" in result.output
    assert set(observations(store)) == {run.run_id for run in hosted()} - {"othertag"}
    pages = [variables for query, variables in server.queries if "query Runs(" in query]
    assert len(pages) >= 4


def test_settings_come_from_config_and_arguments(imported):
    run = observations(imported[0])["dvlv66is"]
    assert run.settings["batch_size"] == 4
    assert run.settings["learning_rate"] == 5e-4
    assert run.settings["lr_scheduler_type"] == "cosine"
    assert run.settings["tune_llm"] is True
    assert run.settings["tune_projector"] is True
    assert run.settings["num_gpus"] == 1
    assert run.settings["video_backend"] == "torchvision_av"
    assert run.data == {
        "dataset": "robot_sim.PickNPlace",
        "data config": "fourier_gr1_arms_only",
        "embodiment tag": "new_embodiment",
        "base model": "nvidia/GR00T-N1.5-3B",
        "trainer": "isaac-gr00t 5e3ef5ef9a89",
    }
    assert run.frames == "known wrong"
    assert run.epochs == pytest.approx(800 / 2096)


def test_curves_and_losses_are_those_that_were_logged(imported):
    found = observations(imported[0])
    for run_id in ("6jzsan5d", "dvlv66is"):
        run = found[run_id]
        logged = [row for row in script_rows(run_id) if "train/loss" in row]
        assert run.curve is not None and run.loss is not None
        np.testing.assert_array_equal(run.curve.losses, [row["train/loss"] for row in logged])
        steps = [row["train/global_step"] for row in logged]
        np.testing.assert_array_equal(run.curve.samples, 4 * np.array(steps))
        assert run.loss.kind == "window mean"
        assert run.samples_seen == 800
        last = [row["train/loss"] for row in logged][-10:]
        assert run.loss.mean == pytest.approx(np.mean(last))


def script_rows(run_id):
    return next(run.rows for run in hosted() if run.run_id == run_id)


def test_only_a_run_at_its_end_is_finished(imported):
    found = observations(imported[0])
    status = {run_id: run.status for run_id, run in found.items()}
    assert status["6jzsan5d"] == "finished"
    assert status["qbk0btb6"] == status["stopped1"] == "unfinished"
    assert status["crashed1"] == "failed"
    assert "It is said to have finished, at step 100 of 200." in found["stopped1"].problems
    assert (found["qbk0btb6"].steps, found["qbk0btb6"].max_steps) == (100, 200)


def test_gpus_come_from_the_speed_and_an_unknown_dataset_is_a_class_of_its_own(imported):
    run = observations(imported[0])["twogpus1"]
    assert run.settings["num_gpus"] == 2
    assert run.samples_seen == 200 * 4 * 2
    assert "twogpus1" in run.dataset
    assert any("not known" in problem for problem in run.problems)
    assert "tune_projector" not in run.settings


def test_a_run_of_this_package_has_its_own_names_and_a_loss_a_step(imported):
    run = observations(imported[0])["0a1b2c3d4e5f6071"]
    assert run.curve is not None and len(run.curve.losses) == 100
    assert run.samples_seen == 800
    assert run.data["trainer"] == "native"
    assert run.data["dataset version"] == "0123456789abcdef"
    assert run.settings["batch_size"] == 8


def test_a_run_that_this_store_logged_is_not_counted_twice(imported):
    store, *_ = imported
    ids = {run.run_id for run in imported_runs(store)}
    assert "0a1b2c3d4e5f6071" in ids
    folder = store.run_directory("lr1e-4", "0123456789ab")
    place_record(folder, id="0a1b2c3d4e5f6071", project="pippa")
    try:
        left = {run.run_id for run in imported_runs(store)}
    finally:
        (folder / "wandb.json").unlink()
    assert left == ids - {"0a1b2c3d4e5f6071"}


def test_a_run_of_the_journal_keeps_its_class_and_gets_its_curve(imported, tmp_path):
    store, *_ = imported
    journal = tmp_path / "runs.csv"
    journal.write_text(
        "run_id,name,dataset,data_config,started_at,learning_rate,batch_size,max_steps,"
        "tune_projector,video_backend,status,loss,note\n"
        "twogpus1,by hand,so101,so100_dualcam,2025-11-02,5e-4,4,200,true,decord,finished,0.2,n\n"
        "only,table,so101,so100_dualcam,2025-11-02,5e-4,4,200,true,decord,finished,0.2,\n"
    )
    found = {run.run_id: run for run in imported_runs(store, journal)}
    run = found["twogpus1"]
    assert run.source == "wandb"
    assert run.curve is not None
    assert run.data == found["only"].data
    assert run.settings["num_gpus"] == 2
    assert run.settings["tune_projector"] is True
    assert (run.name, run.note, run.problems) == ("by hand", "n", ())
    assert sum(run.run_id == "twogpus1" for run in imported_runs(store, journal)) == 1


def test_what_the_row_lacks_comes_from_its_run(tmp_path):
    store, journal = Store(tmp_path / "store"), tmp_path / "runs.csv"
    run = WandbRun(
        run_id="a", name="a", entity="e", project="p", state="finished",
        created_at="2025-11-02T10:00:00Z", steps=(10, 20), losses=(0.3, 0.2),
    )  # fmt: skip
    save_wandb_runs([run], imports_folder(store) / "e--p.parquet")
    journal.write_text("run_id,video_backend,batch_size,loss\na,torchvision_av,4,\n")
    (found,) = imported_runs(store, journal)
    assert (found.frames, found.samples_seen) == ("not verified", 20 * 4)


def test_the_key_is_written_nowhere(imported):
    store, result, _ = imported
    assert KEY not in result.output
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert files
    assert not any(KEY.encode() in path.read_bytes() for path in files)


def test_importing_again_replaces(tmp_path, monkeypatch):
    first = [script_run("a", "one"), script_run("b", "two")]
    with wandb_public_server(first) as server:
        at_server(monkeypatch, server.url, tmp_path)
        store = Store(tmp_path / "store")
        file, runs = import_wandb("lab/pippa", store)
        assert [run.run_id for run in runs] == ["a", "b"]
        assert load_wandb_runs(file) == runs
        del server.runs["b"]
        again, _ = import_wandb("lab/pippa", store)
        assert again == file
        assert [run.run_id for run in read_wandb(store)] == ["a"]
        server.runs.clear()
        with pytest.raises(ComparisonError, match="no run"):
            import_wandb("lab/pippa", store)
    assert [run.run_id for run in read_wandb(store)] == ["a"]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("path", ["pippa", "a/b/c", "", "a/../b"])
def test_what_is_no_project_is_refused(path, tmp_path):
    with pytest.raises(ComparisonError, match="ENTITY/PROJECT"):
        import_wandb(path, Store(tmp_path))


def test_no_such_project_and_a_refused_key_say_what_to_do(tmp_path, monkeypatch):
    with wandb_public_server([]) as server:
        at_server(monkeypatch, server.url, tmp_path)
        with pytest.raises(ComparisonError, match="WANDB_API_KEY"):
            import_wandb("lab/nothing", Store(tmp_path / "store"))
        server.refuses_key = True
        with pytest.raises(ComparisonError, match="WANDB_API_KEY") as refused:
            import_wandb("lab/pippa", Store(tmp_path / "store"))
    assert KEY not in str(refused.value)
    assert not (tmp_path / "store").exists()


def test_a_broken_import_says_to_import_again(tmp_path):
    folder = tmp_path / "imports" / "wandb"
    folder.mkdir(parents=True)
    (folder / "lab--pippa.parquet").write_bytes(b"not parquet")
    with pytest.raises(ComparisonError, match="import them again"):
        read_wandb(Store(tmp_path))
    pd.DataFrame({"a": [1]}).to_parquet(folder / "lab--pippa.parquet")
    with pytest.raises(ComparisonError, match="import them again"):
        read_wandb(Store(tmp_path))
