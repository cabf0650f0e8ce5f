"""``data/engines.yaml``: what it says, and what is said of its faults."""

from pathlib import Path

import pytest

from gr00t_assets.core.errors import EngineError, SweepError
from gr00t_assets.experiments.engine_file import (
    LocalEngine,
    RayEngine,
    SlurmEngine,
    engine_of,
    usable_engines,
)
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import load_sweep

LAB = """\
default: lab
engines:
  lab:
    kind: slurm
    partition: gpu
    account: robots
    gpu_type: a100
    time_limit: 4:00:00
    options: [--qos=high]
  ray:
    kind: ray
    resources: {a100: 1}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path


def write(project: Path, text: str) -> None:
    (project / "data" / "engines.yaml").write_text(text)


def problem(project: Path, text: str) -> str:
    write(project, text)
    return str(usable_engines().problem)


def an_experiment(engine: str | None = None) -> Experiment:
    return Experiment(name="a", sweep="s", dataset="demo", engine=engine)


def test_without_the_file_there_is_this_machine():
    engines = usable_engines()
    assert (engines.default, engines.names, engines.remote) == ("local", ("local",), ())
    assert engine_of(an_experiment()) == LocalEngine()


def test_the_documented_file(project: Path):
    write(project, LAB)
    engines = usable_engines()
    assert engines.names == ("local", "lab", "ray")
    lab, ray = engines.remote
    assert isinstance(lab, SlurmEngine) and isinstance(ray, RayEngine)
    assert (lab.name, lab.time_limit, lab.jobs_at_once) == ("lab", 14_400, 16)
    assert engine_of(an_experiment()) == lab
    assert engine_of(an_experiment("ray")) == ray
    assert engine_of(an_experiment("local")) == LocalEngine()


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("4:00:00", 14_400), ("'04:00:00'", 14_400), ("1-02:00:00", 93_600), ("30:00", 1800)],
)
def test_time_limits_as_slurm_writes_them(project: Path, limit: str, seconds: int):
    write(project, LAB.replace("4:00:00", limit))
    lab = usable_engines().named("lab")
    assert isinstance(lab, SlurmEngine) and lab.time_limit == seconds


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("partition:", "partitoin:", "data/engines.yaml: 2 problems."),
        ("account:", "acount:", "engines.yaml:6: engines.lab.acount: unknown field; did you mean "),
        (
            "kind: slurm",
            "kind: slrum",
            "engines.yaml:4: engines.lab.kind: there is no kind 'slrum'",
        ),
        ("kind: slurm", "kind: [slurm]", "engines.lab.kind: there is no kind '['slurm']'; write"),
        ("    kind: slurm\n", "", "engines.yaml:3: engines.lab.kind: kind is missing"),
        (
            "default: lab",
            "default: leb",
            "engines.yaml:1: default: there is no engine 'leb'; did you",
        ),
        ("4:00:00", "four hours", "engines.yaml:8: engines.lab.time_limit: expected hours:minutes"),
        ("4:00:00", "01:30", "engines.lab.checkpoint_before: must be less than time_limit"),
        ("  lab:", "  local:", "'local' is this machine"),
        ("  ray:", "  a/b:", "name 'a/b' has '/'"),
        ("{a100: 1}", "[a100]", "engines.yaml:12: engines.ray.resources"),
        ("engines:", "engines: [", "this is not YAML."),
    ],
)
def test_a_fault_is_told_with_its_place(project: Path, old: str, new: str, expected: str):
    assert expected in problem(project, LAB.replace(old, new))


def test_every_problem_at_once(project: Path):
    text = problem(project, LAB.replace("account:", "acount:").replace("kind: ray", "kind: rya"))
    assert "2 problems." in text and "acount" in text and "'rya'" in text


def test_a_fault_disables_what_it_defines_and_nothing_else(project: Path):
    write(project, LAB.replace("resources: {a100: 1}", "resourcse: {}"))
    engines = usable_engines()
    assert isinstance(engines.named(None), SlurmEngine)
    with pytest.raises(EngineError, match=r"resourcse.*did you mean 'resources'"):
        engines.named("ray")


def test_a_file_that_is_no_yaml_leaves_this_machine(project: Path):
    write(project, "default: [")
    assert engine_of(an_experiment("local")) == LocalEngine()
    for name in (None, "lab"):
        with pytest.raises(EngineError, match=r"this is not YAML"):
            engine_of(an_experiment(name))


def sweep(project: Path, text: str) -> dict[str, str | None]:
    file = project / "mine.yaml"
    file.write_text(text)
    return {item.name: item.engine for item in load_sweep(file, ["demo"]).experiments}


def test_an_engine_is_the_entrys_else_the_defaults(project: Path):
    write(project, LAB)
    found = sweep(
        project,
        "defaults: {dataset: demo, engine: lab}\n"
        "experiments:\n  - {name: a}\n  - {name: b, engine: local}\n"
        "  - {name: c, continue_from: b, hyperparameters: {max_steps: 20000}}\n"
        "grid: {name: 'g{seed}', engine: ray, hyperparameters: {seed: [1]}}\n",
    )
    assert found == {"a": "lab", "b": "local", "c": "local", "g1": "ray"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "defaults: {dataset: demo}\nexperiments:\n  - {name: a, engine: leb}\n",
            "mine.yaml:3: experiments[0].engine: there is no engine 'leb' in data/engines.yaml",
        ),
        (
            "defaults:\n  dataset: demo\n  engine: lub\nexperiments: [{name: a}, {name: b}]\n",
            "mine.yaml:3: defaults.engine: there is no engine 'lub' in data/engines.yaml; did you",
        ),
    ],
)
def test_an_unknown_engine_is_told_where_it_is_named(project: Path, text: str, expected: str):
    write(project, LAB)
    with pytest.raises(SweepError) as error:
        sweep(project, text)
    assert expected in str(error.value)


def test_where_it_trains_changes_neither_hash_nor_the_spec_of_who_names_none():
    assert an_experiment().config_hash("v", "m") == an_experiment("lab").config_hash("v", "m")
    assert "engine" not in an_experiment().model_dump(mode="json")
    assert an_experiment("lab").model_dump(mode="json")["engine"] == "lab"
