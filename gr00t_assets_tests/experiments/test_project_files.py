"""A file with a fault disables what it defines and nothing else, for every kind of file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gr00t_assets.core.errors import CatalogError, SweepError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.engine_file import engine_of
from gr00t_assets.experiments.project_files import (
    ProjectFiles,
    project_stamp,
    read_project,
    remember_names,
)
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.runs.retention.retention_rule import project_state
from gr00t_assets_tests.defs.specs import a_modality_config

ENTRY = """
  description: a folder
  source: {kind: folder, path: nowhere}
  data_config: so100_dualcam
"""
HALF_SAVED = "defaults: {dataset: demo\nexperiments:\n  - name"

Write = Callable[[str, str], Path]


def sweep(*names: str, dataset: str = "demo") -> str:
    listed = "".join(f"  - name: {name}\n" for name in names)
    return f"defaults: {{dataset: {dataset}}}\nexperiments:\n{listed}"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """A project of two datasets with a sweep each; writes a file of its folder ``data``."""
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)

    def written(name: str, text: str) -> Path:
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    written("datasets.yaml", f"demo:{ENTRY}other:{ENTRY}")
    written("sweeps/a.yaml", sweep("a-one", "a-two"))
    written("sweeps/b.yaml", sweep("b-one", dataset="other"))
    (tmp_path / "store").mkdir()
    remember_names(read_project())
    return written


def lines(project: ProjectFiles) -> list[str]:
    return [fault.error.headline for fault in project.faults]


def test_a_sound_project_has_no_fault(write: Write):
    project = read_project()
    assert project.faults == ()
    assert list(project.experiments) == ["a-one", "a-two", "b-one"]
    assert list(project.datasets) == ["demo", "other"]
    assert read_project() is project, "nothing has changed, so that nothing is read again"


def test_a_half_saved_sweep_disables_itself_alone(write: Write):
    write("sweeps/a.yaml", HALF_SAVED)
    project = read_project()
    assert list(project.sweeps) == ["b"]
    (line,) = lines(project)
    assert line.startswith("data/sweeps/a.yaml:2: this is not YAML: ")
    with pytest.raises(SweepError, match=r"data/sweeps/a.yaml:2: this is not YAML"):
        project.sweeps["a"]


def test_what_it_had_is_remembered_and_ends_with_the_error_of_the_file(write: Write):
    write("sweeps/a.yaml", HALF_SAVED)
    project = read_project()
    remember_names(project)
    assert project.experiment_names == ["b-one", "a-one", "a-two"]
    with pytest.raises(SweepError, match=r"data/sweeps/a.yaml:2: this is not YAML"):
        project.experiments["a-two"]
    with pytest.raises(SweepError, match=r"may be in a file with a fault: data/sweeps/a\.yaml:2"):
        project.experiments["a-three"]
    write("sweeps/a.yaml", sweep("a-one"))
    project = read_project()
    remember_names(project)
    assert project.experiment_names == ["a-one", "b-one"], "a-two was taken out of the file"


def test_a_run_of_a_sweep_with_a_fault_is_not_for_pruning(write: Write):
    write("sweeps/a.yaml", HALF_SAVED)
    state = project_state(Store.from_environment())
    assert state.state_of("a-one", "0123456789ab") == "undecided"
    assert state.state_of("unheard-of", "0123456789ab") == "undecided"
    write("sweeps/a.yaml", sweep("a-one"))
    state = project_state(Store.from_environment())
    assert state.state_of("unheard-of", "0123456789ab") == "unlisted"


def test_of_two_files_with_an_experiment_of_one_name_the_later_one_is_faulty(write: Write):
    write("sweeps/b.yaml", sweep("a-two", "b-one", dataset="other"))
    project = read_project()
    assert list(project.sweeps) == ["a"]
    assert "experiment 'a-two' is also in data/sweeps/a.yaml" in lines(project)[0]
    assert project.experiments["a-two"].sweep == "a"
    assert project.experiment_names == ["a-one", "a-two", "b-one"]


def test_a_fault_of_one_entry_disables_the_dataset_and_its_sweeps_and_each_says_so(write: Write):
    write("datasets.yaml", f"demo:{ENTRY}  held_out: [1, 1]\nother:{ENTRY}")
    project = read_project()
    assert list(project.datasets) == ["other"] and list(project.sweeps) == ["b"]
    catalog, sweep_line = lines(project)
    fault = "data/datasets.yaml:5: demo.held_out: named twice: 1"
    assert catalog.startswith(fault)
    cannot = f"defaults.dataset: dataset 'demo' cannot be used: {fault}"
    assert sweep_line.startswith(f"data/sweeps/a.yaml:1: {cannot}")
    assert project.dataset_names == ["other", "demo"], "its partition stays"
    with pytest.raises(CatalogError, match=r"datasets\.yaml:5"):
        project.datasets["demo"]


def test_a_key_given_twice_in_one_entry_disables_that_entry(write: Write):
    write("datasets.yaml", f"demo:{ENTRY}  description: again\nother:{ENTRY}")
    project = read_project()
    assert list(project.datasets) == ["other"]
    assert lines(project)[0] == "data/datasets.yaml:5: demo.description: is given twice"


def test_of_a_catalog_that_is_no_yaml_what_the_store_has_goes_on(write: Write):
    config = a_modality_config()
    assert config.dataset == "demo"
    save_modality_config(config, Store.from_environment())
    write("datasets.yaml", f"demo:{ENTRY}other: [")
    project = read_project()
    assert list(project.datasets) == []
    assert list(project.sweeps) == ["a"], "demo is in the store, and is trained on as before"
    assert project.dataset_names == ["demo", "other"]
    message = "dataset 'other' is not known: data/datasets.yaml:"
    assert message in lines(project)[1] and "this is not YAML" in lines(project)[1]


def test_a_fault_of_a_data_config_disables_what_uses_it(write: Write):
    write("data_configs/mine.yaml", "video: [front\n")
    own = ENTRY.replace("so100_dualcam", "mine")
    write("datasets.yaml", f"demo:{own}other:{ENTRY}")
    project = read_project()
    assert list(project.sweeps) == ["b"]
    files = [fault.file.name for fault in project.faults]
    assert files == ["datasets.yaml", "mine.yaml", "a.yaml"]


def test_a_fault_of_the_engines_leaves_local_and_every_sweep(write: Write):
    write("sweeps/a.yaml", sweep("a-one", dataset="demo, engine: lab"))
    write("sweeps/b.yaml", sweep("b-one", dataset="other, engine: local"))
    write("engines.yaml", "engines: {lab: {kind: slurm, partition: gpu}")
    project = read_project()
    assert list(project.sweeps) == ["a", "b"]
    (line,) = lines(project)
    assert line.startswith("data/engines.yaml:")
    assert engine_of(project.experiments["b-one"]).kind == "local"
    with pytest.raises(Exception, match=r"data/engines.yaml:\d: this is not YAML"):
        engine_of(project.experiments["a-one"])


@pytest.mark.parametrize("name", ["environments.yaml", "project.yaml", "notifications.yaml"])
def test_other_files_are_told_and_disable_no_sweep(write: Write, name: str):
    if name == "environments.yaml":
        write("datasets.yaml", f"demo:{ENTRY}  environment: lab-table\nother:{ENTRY}")
        assert "there is no environment 'lab-table'" in lines(read_project())[0]
    write(name, "lab-table: {")
    project = read_project()
    assert [fault.file.name for fault in project.faults] == [name]
    assert list(project.sweeps) == ["a", "b"]


def test_what_editors_and_others_leave_in_the_folder_is_told_or_passed_over(write: Write):
    folder = write("sweeps/c.yaml", sweep("c-one")).parent
    (folder / ".#a.yaml").symlink_to("somebody@host.123")
    (folder / "a.yaml~").write_text("{")
    (folder / "folder.yaml").mkdir()
    (folder / "gone.yaml").symlink_to("nowhere")
    (folder / "image.yaml").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    (folder / "list.yaml").write_text("- a\n- b\n")
    (folder / "empty.yaml").write_text("")
    project = read_project()
    assert list(project.sweeps) == ["a", "b", "c"]
    names = ["empty.yaml", "folder.yaml", "gone.yaml", "image.yaml", "list.yaml"]
    assert [fault.file.name for fault in project.faults] == names


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_disables_itself(write: Write):
    write("sweeps/a.yaml", sweep("a-one")).chmod(0)
    assert list(read_project().sweeps) == ["b"]


def test_each_change_of_a_file_is_seen(write: Write):
    before = project_stamp()
    file = write("sweeps/new.yaml", sweep("new"))
    added = project_stamp()
    assert "new" in read_project().experiments
    write("sweeps/new.yaml", sweep("newer"))
    assert "newer" in read_project().experiments
    file.unlink()
    assert before != added and project_stamp() == before
    assert "newer" not in read_project().experiments


def test_a_catalog_that_is_not_there_is_a_fault(write: Write):
    write("datasets.yaml", "").unlink()
    project = read_project()
    assert not project.sweeps
    assert lines(project)[0].startswith("data/datasets.yaml: this file cannot be read: ")
