"""What a sweep would run, held against run directories."""

import io
from typing import Any

import pytest
from rich.console import Console

from gr00t_assets.cli.sweep_plan import plan_json, print_plan
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.planning.sweep_plan import SweepPlan, make_plan
from gr00t_assets_tests.comparison.run_factory import (
    FRAMES,
    experiment,
    losses,
    modality,
    sweep,
    write_run,
)


def printed(plan: SweepPlan, width: int = 200) -> list[str]:
    out = io.StringIO()
    print_plan(plan, Console(file=out, width=width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def cells(lines: list[str], name: str) -> list[str]:
    (found,) = [line for line in lines if line.split()[:1] == [name]]
    return found.split()


def test_each_status_and_what_is_left_of_it(store):
    names = ("finished", "failed", "interrupted", "unfinished", "missing", "stale")
    items = [experiment(name, max_steps=300, save_steps=100) for name in names]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(90, 0.8), "failed", failure="TrainingError: loss is nan")
    write_run(items[2], store, losses(250, 0.3), "interrupted")
    write_run(items[3], store, losses(120, 0.5), None)
    write_run(experiment("stale", learning_rate=3e-4), store, losses(300, 0.1))
    plan = make_plan(sweep(*items), store, "cpu")
    assert [row.status for row in plan.rows] == list(names)
    assert {row.samples for row in plan.rows} == {2400}
    assert [row.samples_left for row in plan.rows] == [0, 2400, 800, 1600, 2400, 2400]
    lines = printed(plan)
    assert cells(lines, "finished")[-1] == "nothing"
    assert cells(lines, "unfinished")[-2:] == ["unfinished", "continue"]
    assert cells(lines, "stale")[-3:] == ["stale", "train", "anew"]
    assert lines[-1].startswith("left to do: 5 of 6, 9,600 samples, about ")


def test_a_run_with_other_data_is_stale_and_one_that_cannot_be_read_is_looked_at(store):
    items = [experiment("a"), experiment("b")]
    folder = write_run(items[1], store, losses(300, 0.1))
    (folder / "manifest.json").write_text("{")
    plan = make_plan(sweep(*items), store)
    assert [row.status for row in plan.rows] == ["missing", "unreadable"]
    assert cells(printed(plan), "b")[-2:] == ["look", "first"]
    save_modality_config(modality(version="fedcba9876543210"), store)
    assert make_plan(sweep(*items), store).rows[1].status == "stale"


def test_hours_come_from_the_same_setup(store):
    write_run(experiment("done"), store, losses(300, 0.1), samples_per_second=2.0)
    write_run(experiment("other", batch_size=32), store, losses(300, 0.1), samples_per_second=9.0)
    plan = make_plan(sweep(experiment("new", learning_rate=1e-3)), store, "cpu")
    (row,) = plan.rows
    assert row.estimate is not None
    assert (row.estimate.source, row.estimate.runs, row.estimate.differs) == ("done", 1, ())
    assert row.hours_left == pytest.approx(2400 / 2.0 / 3600)
    assert (plan.hours_left(on_gpus=True), plan.unknown) == (0, 0)
    assert plan.hours_left(on_gpus=False) == pytest.approx(2400 / 2.0 / 3600)
    assert "hours of 1: from the samples/s of done, on cpu" in printed(plan)


def test_several_runs_of_one_setup_give_their_median(store):
    for index, speed in enumerate((2.0, 4.0, 90.0)):
        item = experiment(f"done{index}", seed=index)
        day = f"2026-01-0{3 - index}T10:00:00+00:00"
        write_run(item, store, losses(300, 0.1), samples_per_second=speed, finished_at=day)
    (row,) = make_plan(sweep(experiment("new", seed=9)), store, "cpu").rows
    assert row.estimate is not None
    assert (row.estimate.samples_per_second, row.estimate.runs) == (4.0, 3)
    assert row.estimate.source == "done0", "the newest stands for them"


def gpu_run(store, name: str, device: str = "NVIDIA H200", **values: Any) -> None:
    changes = {key: values.pop(key) for key in ("samples_per_second", "status") if key in values}
    item = experiment(name, **values)
    write_run(
        item.model_copy(update={"trainer": "isaac-gr00t"}), store, losses(300, 0.1),
        gpu_seconds=90.0, device=device, **changes,
    )  # fmt: skip


def on_gpu(**values: Any):
    return experiment("new", **values).model_copy(update={"trainer": "isaac-gr00t"})


def test_the_nearest_setup_stands_in_and_what_differs_is_said(store):
    gpu_run(store, "b32", batch_size=32, samples_per_second=40.0)
    gpu_run(store, "b4", batch_size=4, samples_per_second=10.0)
    gpu_run(store, "tower", tune_visual=True, samples_per_second=5.0)
    gpu_run(store, "a100", device="NVIDIA A100", samples_per_second=8.0)
    (row,) = make_plan(sweep(on_gpu(batch_size=8)), store, "NVIDIA H200").rows
    assert row.estimate is not None
    assert (row.estimate.source, row.estimate.differs) == ("b4", ("batch size 4",))
    (row,) = make_plan(sweep(on_gpu(tune_visual=True)), store, "NVIDIA H200").rows
    assert row.estimate is not None and row.estimate.source == "tower"
    (row,) = make_plan(sweep(on_gpu(tune_visual=True, batch_size=16)), store, "NVIDIA A100").rows
    assert row.estimate is not None
    assert row.estimate.differs == ("tune_visual false", "batch size 8")


def test_hours_of_several_gpus_are_gpu_hours(store):
    gpu_run(store, "one", samples_per_second=10.0)
    plan = make_plan(sweep(on_gpu(num_gpus=4)), store, "NVIDIA H200")
    (row,) = plan.rows
    assert row.estimate is not None
    assert (row.estimate.samples_per_second, row.estimate.differs) == (40.0, ("1 GPUs",))
    assert row.samples == 300 * 8 * 4
    assert plan.hours_left(on_gpus=True) == pytest.approx(300 * 8 * 4 / 10.0 / 3600)
    assert plan.hours_left(on_gpus=False) == 0
    assert "GPUs" in printed(plan)[1]


@pytest.mark.parametrize("change", [{"trainer": "isaac-gr00t"}, {"base_model": "/models/mine"}])
def test_another_trainer_or_base_model_says_nothing_of_the_speed(store, change):
    write_run(experiment("done"), store, losses(300, 0.1))
    plan = make_plan(sweep(experiment("new").model_copy(update=change)), store, "cpu")
    assert plan.rows[0].hours_left is None
    assert plan.unknown == 1
    lines = printed(plan)
    assert "unknown" in cells(lines, "new")
    assert lines[-1].endswith("hours unknown of 1: no finished run resembles them")


def test_runs_that_did_not_finish_or_lost_their_spec_are_no_measure(store):
    write_run(experiment("failed"), store, losses(40, 0.8), "failed")
    folder = write_run(experiment("lost", seed=1), store, losses(300, 0.1))
    (folder / "spec.json").unlink()
    write_run(experiment("still", seed=2), store, losses(300, 0.1), samples_per_second=0.0)
    assert make_plan(sweep(experiment("new")), store, "cpu").rows[0].estimate is None


def test_what_a_shorter_run_did_is_not_trained_again(store):
    longer = experiment("longer", max_steps=500).model_copy(
        update={"continue_from": "short", "continued_steps": (300,)}
    )
    (row,) = make_plan(sweep(longer), store).rows
    assert (row.samples, row.samples_left) == (4000, 1600)


def test_epochs_of_a_dataset_that_is_there_or_was_trained_on(store, demo_dataset):
    items = [experiment("a"), experiment("b", dataset="gone")]
    plan = make_plan(sweep(*items), store)
    assert [row.epochs for row in plan.rows] == [None, None]
    assert "epochs" not in printed(plan)[1]
    save_modality_config(modality("gone"), store)
    write_run(items[1], store, losses(300, 0.1))
    folder = store.dataset_directory("demo", modality().dataset_version)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(demo_dataset)
    plan = make_plan(sweep(*items), store)
    assert [row.epochs for row in plan.rows] == [2400 / 2096, 2400 / FRAMES]
    config = modality().model_copy(update={"held_out_episodes": (0,)})
    save_modality_config(config, store)
    (first, _) = make_plan(sweep(*items), store).rows
    assert first.epochs and first.epochs > 2400 / 2096


def test_what_the_queue_is_told_has_columns_where_it_is_set(store):
    plain = experiment("plain")
    urgent = experiment("urgent").model_copy(update={"priority": 5, "vram_gb": 40.0})
    heads = printed(make_plan(sweep(plain), store))[1].split()
    assert not {"priority", "VRAM", "GPUs"} & set(heads)
    lines = printed(make_plan(sweep(plain, urgent), store))
    assert {"priority", "VRAM"} <= set(lines[1].split())
    assert cells(lines, "urgent")[1:4] == ["5", "40", "GB"]


def test_a_plan_of_finished_runs_has_nothing_left(store):
    write_run(experiment("a"), store, losses(300, 0.1))
    assert printed(make_plan(sweep(experiment("a")), store))[-1] == (
        "left to do: nothing, all 1 are finished"
    )


def test_the_plan_as_json_has_what_a_script_needs(store):
    write_run(experiment("done"), store, losses(300, 0.1), samples_per_second=2.0)
    items = [experiment("done"), experiment("new", seed=1, hypothesis="why")]
    content = plan_json(make_plan(sweep(*items), store, "cpu"))
    assert content["statuses"] == {"finished": 1, "missing": 1}
    assert content["max_retries"] == 3
    assert content["cpu_hours_left"] == pytest.approx(2400 / 2.0 / 3600)
    done, new = content["experiments"]
    assert (done["status"], done["samples_left"], done["hours_left"]) == ("finished", 0, 0)
    assert (new["partition"], new["would"], new["seed"]) == ("new", "train", 1)
    assert new["hours_of"] == "CPU"
    assert new["estimate"] == {
        "samples_per_second": 2.0, "device": "cpu", "taken_from": "done", "runs": 1, "differs": [],
    }  # fmt: skip
    assert (new["priority"], new["vram_gb"], new["epochs"]) == (0, None, pytest.approx(2400 / 2096))


def test_texts_of_a_file_are_printed_as_they_are(store):
    plan = make_plan(sweep(experiment("a"), description="[red]not[/red] a style [x]"), store)
    assert printed(plan)[0] == "Sweep demo  [red]not[/red] a style [x]"
