"""Tables as people have them: exports of W&B, other names, decimal commas, other states."""

import pandas as pd
import pytest

from gr00t_assets.comparison.tables.runs_table import read_table
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets_tests.comparison.tables.journal_table import loss_of

WANDB = """"Name","State","Notes","User","Tags","Created","Runtime","Sweep","_step",\
"args.batch_size","args.learning_rate","args.seed","args.max_steps","config.learning_rate",\
"eval/loss","train/epoch","train/global_step","train/learning_rate","train/loss","train_loss"
"run-a","finished","-","u","","2025-11-02T10:00:00.000Z","812","","101","8","0.0001","0","1000",\
"0.0001","0.09","3.5","1000","0","0.0312","0.0511"
"run-b","crashed","died","u","x","2025-11-02T11:00:00.000Z","15","","","16","0.0001","1","1000",\
"","","","300","0.00007","0.0287",""
"run-c","finished","","u","","2025-11-02T12:00:00.000Z","900","","101","8","0.0001","2","1000",\
"0.001","0.08","3.5","1000","0","0.03","0.05"
""".replace("\\\n", "")


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "runs.csv"
    path.write_bytes(text.encode(encoding))
    return read_table(path, {})


def losses(tmp_path, *cells, sign=";", more=""):
    rows = "".join(f"r{n}{sign}{cell}{more}\n" for n, cell in enumerate(cells))
    header = f"run_id{sign}loss" + (f"{sign}learning_rate" if more else "")
    return read(tmp_path, f"{header}\n{rows}")


def mean(run):
    return loss_of(run).mean


def test_an_export_of_wandb(tmp_path):
    a, b, c = read(tmp_path, WANDB)
    assert (a.run_id, a.name, a.status, a.started_at[:10]) == (
        "run-a", "run-a", "finished", "2025-11-02",
    )  # fmt: skip
    assert mean(a) == 0.0312
    assert a.settings == {"batch_size": 8, "learning_rate": 1e-4, "seed": 0, "max_steps": 1000}
    assert (a.steps, a.samples_seen, a.problems) == (1000, 8000, ())
    assert (b.status, b.steps, b.note, b.finished) == ("failed", 300, "state crashed; died", False)
    assert c.status == "unreadable", "two learning rates"
    assert c.problems == (
        "line 4: args.learning_rate is 0.0001 and config.learning_rate is 0.001; "
        "keep one of them.",
    )  # fmt: skip


def test_names_of_transformers_and_of_people(tmp_path):
    (hf,) = read(
        tmp_path,
        "name,learning_rate,per_device_train_batch_size,num_train_epochs,max_steps,warmup_ratio,"
        "weight_decay,lr_scheduler_type,loss\nx,1e-4,8,3,-1,0.03,0.01,polynomial,0.2\n",
    )
    assert hf.settings == {
        "learning_rate": 1e-4, "batch_size": 8, "num_train_epochs": 3, "warmup_ratio": 0.03,
        "weight_decay": 0.01, "lr_scheduler_type": "polynomial",
    }  # fmt: skip
    (short,) = read(tmp_path, "LR,bs,Steps,epochs,Training Loss\n1e-3,4,100,2,0.3\n")
    assert short.settings == {
        "learning_rate": 1e-3, "batch_size": 4, "max_steps": 100, "num_train_epochs": 2,
    }  # fmt: skip
    assert (short.run_id, mean(short), short.samples_seen) == ("2", 0.3, 400)


def test_names_that_runs_share_become_ids_with_their_lines(tmp_path):
    runs = read(tmp_path, "name,seed,loss\na,0,0.1\na,1,0.2\nb,0,0.3\n,1,0.4\n")
    assert [(run.run_id, run.name) for run in runs] == [
        ("a/2", "a"), ("a/3", "a"), ("b", "b"), ("5", "5"),
    ]  # fmt: skip


@pytest.mark.parametrize("sign", [";", "\t", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_line_ends_and_encodings(tmp_path, sign, end, encoding):
    cells = [["run_id", "header", "loss"], ["a", '"x; y, z\t"', "0.5"]]
    text = end.join(sign.join(line) for line in cells).replace("header", '"a, b"')
    (run,) = read(tmp_path, text + end, encoding)
    assert (run.run_id, mean(run)) == ("a", 0.5)
    assert run.settings == {"a, b": "x; y, z"}


def test_decimal_commas_are_never_thousands(tmp_path):
    runs = losses(tmp_path, "0,0585", "1,234", "12,5", "1.234,5", "1,5e-2", "0,031")
    assert [mean(run) for run in runs] == [0.0585, 1.234, 12.5, 1234.5, 0.015, 0.031]
    assert mean(losses(tmp_path, '"0,012"', sign=",")[0]) == 0.012
    assert mean(losses(tmp_path, '"1,234.5"', sign=",")[0]) == 1234.5
    runs = losses(tmp_path, "1.234", "0.9", sign=",", more=',"0,1"')
    assert [mean(run) for run in runs] == [1.234, 0.9], "points are its decimals"


@pytest.mark.parametrize(("loss", "rate"), [("1,234", "0.001"), ("1,234", "1"), ("1.234", "0,001")])
def test_what_may_be_thousands_or_a_decimal_is_refused_by_its_cell(tmp_path, loss, rate):
    good, bad = losses(tmp_path, "0.5" if "." in rate else "5", loss, more=f";{rate}")
    assert good.finished
    assert (bad.status, bad.loss) == ("unreadable", None)
    assert bad.problems == (
        f"line 3: loss: '{loss}' may be 1234 or 1.234; write it without mark of thousands, "
        "with a decimal point.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "status", "note"),
    [
        ("finished", "finished", ""),
        ("Finished", "finished", ""),
        ("FAILED", "failed", ""),
        ("crashed", "failed", "state crashed"),
        ("Killed", "interrupted", "state killed"),
        ("preempted", "interrupted", "state preempted"),
        ("running", "unfinished", "state running"),
        ("pending", "unfinished", "state pending"),
    ],
)
def test_states_of_wandb(tmp_path, word, status, note):
    (run,) = read(tmp_path, f"run_id,state,loss\na,{word},0.5\n")
    assert (run.status, run.note, run.problems) == (status, note, ())


def test_an_unknown_state_is_that_rows_problem(tmp_path):
    _, bad = read(tmp_path, "run_id,state,loss\na,finished,0.5\nb,finishd,0.5\n")
    assert bad.status == "unreadable"
    assert bad.problems == ("line 3: unknown status 'finishd'; did you mean 'finished'.",)


@pytest.mark.parametrize("loss", ["0", "-0.5", "0.0"])
def test_a_loss_that_is_none_is_listed_and_the_rest_ranked(tmp_path, loss):
    good, bad = losses(tmp_path, "0.5", loss, sign=",")
    assert good.finished
    assert bad.status == "unreadable"
    assert "a training loss is above zero" in bad.problems[0]
    _, diverged = losses(tmp_path, "0.5", "inf", sign=",")
    assert diverged.problems == ("Its loss is inf.",)
    assert not diverged.finished


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("eval/loss,val_loss", "the closest are eval/loss, val_loss; rename"),
        ("action_loss,flow_loss", "the closest are action_loss, flow_loss; rename"),
        ("los,score", "the closest are los; rename"),
        ("score,rate", "it has seed, score, rate; rename"),
    ],
)
def test_without_a_loss_the_closest_columns_are_named(tmp_path, columns, words):
    with pytest.raises(ComparisonError) as refused:
        read(tmp_path, f"seed,{columns}\n0,0.1,0.2\n")
    assert "there is no column loss" in str(refused.value)
    assert words in str(refused.value)


def test_the_one_likely_loss_is_taken_and_said(tmp_path):
    (run,) = read(tmp_path, "seed,train_loss,eval_loss,loss_std\n0,0.1,0.2,0.01\n")
    assert mean(run) == 0.1
    assert run.problems == ("Column 'train_loss' is read as loss.",)
    assert run.settings == {"seed": 0}


def test_results_are_no_settings_and_the_rest_is(tmp_path):
    (run,) = read(
        tmp_path,
        "loss,eval_accuracy,success_rate,train/grad_norm,epoch,_step,loss_weight,max_grad_norm\n"
        "0.1,0.9,0.8,3,2,100,0.5,1\n",
    )
    assert run.settings == {"loss_weight": 0.5, "max_grad_norm": 1.0}


def test_trailing_empty_cells_and_thousands_of_columns(tmp_path):
    names = [f"args.x{n}" for n in range(3000)]
    wide = pd.DataFrame([[0.5, *range(3000)], [0.4, *range(3000)]], columns=["loss", *names])
    (run, _) = read(tmp_path, wide.to_csv(index=False))
    assert len(run.settings) == 3000
    assert run.settings["args.x7"] == 7
    (run,) = read(tmp_path, "loss;lr;;\n0,5;0,001;;\n;;;\n")
    assert (mean(run), run.settings) == (0.5, {"learning_rate": 0.001})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it has no column names"),
        ("run_id,loss\n", "it has no rows"),
        ("run_id,loss\n,\n", "no rows"),
    ],
)
def test_what_has_no_run_is_refused(tmp_path, text, words):
    with pytest.raises(ComparisonError, match=words):
        read(tmp_path, text)
