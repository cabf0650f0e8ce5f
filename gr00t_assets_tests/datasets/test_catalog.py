from pathlib import Path

import pytest

from gr00t_assets.core.errors import CatalogError
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.datasets.source_kinds import (
    EnvironmentSource,
    GitSource,
    HubSource,
    SyntheticSource,
)

CHECKED_IN = Path(__file__).resolve().parents[2]

WRONG = """\
a,b:
  description: x
  source: {kind: gitt}
  data_config: so100_dualcan
c:
  description: x
  source:
    kind: git
    repository: https://host/x
    revison: main
  data_config: so100_dualcam
  embodiment_tag: gr2
d:
  source:
    kind: synthetic
    episodes: 0
  name: d
  dataconfig: so100
e:
  description: x
  source: {kind: synthetic, cameras: [fronnt]}
  data_config: so100_dualcam
f:
  description: x
  source: {kind: hub, repo_id: owner/name, modality: so100_dual}
  data_config: so100_dualcam
1: {}
"""


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> dict[str, CatalogEntry]:
    """The checked-in catalog with the examples."""
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(CHECKED_IN))
    monkeypatch.setenv("GR00T_ASSETS_EXAMPLES", "1")
    return load_catalog()


def test_the_checked_in_catalog_has_its_datasets(catalog: dict[str, CatalogEntry]) -> None:
    synthetic, pick, demo, held_out, untagged, so101, n17 = catalog.values()
    assert list(catalog) == [
        "synthetic-pick-n-place",
        "so101-pick",
        "robot_sim.PickNPlace",
        "robot_sim.PickNPlace-held-out",
        "robot_sim.PickNPlace-untagged",
        "so101-table-cleanup",
        "so101-pick-n1.7",
    ]
    assert n17.source == pick.source and n17.environment == pick.environment
    assert isinstance(synthetic.source, SyntheticSource) and synthetic.source.episodes == 5
    assert isinstance(pick.source, EnvironmentSource)
    assert pick.source.environment == pick.environment == "so101-pick"
    assert isinstance(demo.source, GitSource) and demo.source.revision.startswith("5e3ef5e")
    assert untagged.source == held_out.source == demo.source
    assert synthetic.held_out == held_out.held_out == (4,)
    assert untagged.embodiment_tag == "new_embodiment"
    assert isinstance(so101.source, HubSource) and so101.source.modality == "so100_dualcam"
    assert (demo.embodiment_tag, so101.embodiment_tag) == ("gr1", "new_embodiment")


def test_every_problem_is_told_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "datasets.yaml"
    file.write_text(WRONG)
    with pytest.raises(CatalogError) as caught:
        load_catalog(file)
    assert list(caught.value.details) == [
        "line 1: a,b: name 'a,b' has ','; allowed are letters, digits, '.', '_' and '-'",
        "line 3: a,b.source.kind: unknown kind 'gitt'; did you mean 'git'?",
        "line 4: a,b.data_config: there is no data config 'so100_dualcan'; "
        "did you mean 'so100_dualcam'?",
        "line 7: c.source.revision: is missing",
        "line 10: c.source.revison: unknown field; did you mean 'revision'?",
        "line 12: c.embodiment_tag: unknown embodiment_tag 'gr2'; did you mean 'gr1'?",
        "line 13: d.description: is missing",
        "line 13: d.data_config: is missing",
        "line 16: d.source.episodes: Input should be greater than or equal to 1, found 0",
        "line 17: d.name: the name is the key above; remove this line",
        "line 18: d.dataconfig: unknown field; did you mean 'data_config'?",
        "line 21: e.source: robot gr1_arms has no camera fronnt; it has: ego_view",
        "line 25: f.source.modality: there is no packaged modality file of this name; "
        "did you mean 'so100_dualcam'?, found 'so100_dual'",
        "line 27: 1: a dataset's name is text; put it in quotes",
    ]


@pytest.mark.parametrize("text", ["", "{}\n", "# nothing yet\n"])
def test_an_empty_catalog_has_no_datasets(tmp_path: Path, text: str) -> None:
    (tmp_path / "datasets.yaml").write_text(text)
    assert load_catalog(tmp_path / "datasets.yaml") == {}


def test_synthetic_alone_stands_for_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "datasets.yaml"
    file.write_text("a:\n  description: x\n  source: synthetic\n  data_config: so100_dualcam\n")
    assert load_catalog(file)["a"].source == SyntheticSource()


def test_a_branch_is_not_a_pinned_commit(tmp_path: Path) -> None:
    file = tmp_path / "datasets.yaml"
    source = "{kind: git, repository: https://host/x, revision: main, path: ../x}"
    file.write_text(f"a:\n  description: x\n  source: {source}\n  data_config: so100_dualcam\n")
    with pytest.raises(CatalogError) as caught:
        load_catalog(file)
    assert "expected a full commit hash" in str(caught.value)
    assert "expected a folder inside the repository" in str(caught.value)


def test_a_list_as_a_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "datasets.yaml"
    file.write_text("? [a, b]\n: {description: x}\n")
    with pytest.raises(CatalogError, match="this is not YAML"):
        load_catalog(file)


def test_noise_without_an_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "datasets.yaml"
    source = "{kind: environment, environment: so101-pick, noise: .inf}"
    file.write_text(f"a:\n  description: x\n  source: {source}\n  data_config: so100_dualcam\n")
    with pytest.raises(CatalogError, match=r"noise.*finite number"):
        load_catalog(file)


def test_an_unknown_dataset_is_answered_with_the_nearest(catalog: dict[str, CatalogEntry]) -> None:
    with pytest.raises(CatalogError, match=r"did you mean 'robot_sim\.PickNPlace'"):
        catalog["robot_sim.PickAndPlace"]
