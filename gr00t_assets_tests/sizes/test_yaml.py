"""YAML that a person writes, made to fill memory or time: refused with a message."""

from pathlib import Path

import pytest
import yaml

from gr00t_assets_tests.harness.limited import Result, run_limited
from gr00t_assets_tests.small_dataset import small_dataset


def _laughs(head: str = "", tail: str = "") -> str:
    """Lists of lists of aliases, 10^9 values in a few lines."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join([head, *levels, tail])


def _merges() -> str:
    """Mappings that merge mappings, 10^9 keys in a few lines."""
    levels = ["a0: &a0 {x: 1}"]
    levels += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 9)]
    return "\n".join(levels)


BOMBS = {
    "aliases": _laughs(),
    "merges": _merges(),
    "an alias of itself": "a: &a [*a]",
    "100,000 levels": "[" * 100_000,
    "100,000 levels of maps": "".join(f"{' ' * n}a:\n" for n in range(3000)),
    "a million values": "a: [" + "1, " * 10**6 + "1]",
    "a number of a million digits": f"a: {'9' * 10**6}",
    "a number of a million parts": f"a: 1{':59' * 10**5}",
    "30 MB of text": "a: " + "x" * (30 << 20),
    "a date of no year": "a: 9999999-99-99",
}

FILES = {
    "sweep": ("data/sweeps/bomb.yaml", "check"),
    "catalog": ("data/datasets.yaml", "check"),
    "data config": ("data/data_configs/bomb.yaml", ""),
    "retention": ("data/retention.yaml", "store prune --dry-run"),
}

LOAD_CONFIG = """
from pathlib import Path
from gr00t_assets.modality.data_config import load_data_config
load_data_config(Path("data/data_configs/bomb.yaml"))
"""
MODULES = """
import gr00t_assets.datasets.fit.dataset_check, gr00t_assets.experiments.sweeps
from gr00t_assets.cli.main import main
import sys
"""


def command(root: Path, words: str) -> str:
    """A piece of code that gives a command in a project."""
    given = f"sys.argv[1:] = {words.split()!r}\nmain()" if words else LOAD_CONFIG
    return (
        "import os\n"
        f"os.environ.update(GR00T_ASSETS_ROOT={str(root)!r}, "
        f"GR00T_ASSETS_STORE={str(root / 'data' / 'store')!r})\n"
        f"os.chdir({str(root)!r})\n"
        f"{given}"
    )


def project(root: Path) -> Path:
    """A project with one dataset and one sweep."""
    (root / "data" / "sweeps").mkdir(parents=True)
    (root / "data" / "data_configs").mkdir()
    (root / "data" / "datasets.yaml").write_text(yaml.safe_dump({"small": small_dataset(2)}))
    sweep = {"experiments": [{"name": "one", "dataset": "small"}]}
    (root / "data" / "sweeps" / "sound.yaml").write_text(yaml.safe_dump(sweep))
    return root


ABSURD = {
    "a grid of 10^10": (
        "data/sweeps/bomb.yaml",
        "\n".join(
            [
                "defaults: {dataset: small}",
                "grid:",
                "  name: g{batch_size}-{max_steps}-{save_steps}-{seed}-{logging_steps}",
                "  hyperparameters:",
                *(
                    f"    {name}: [{', '.join(map(str, range(1, 101)))}]"
                    for name in ("batch_size", "max_steps", "save_steps", "seed", "logging_steps")
                ),
            ]
        ),
        "sweep plan bomb",
    ),
    "10^12 random samples": (
        "data/sweeps/bomb.yaml",
        "defaults: {dataset: small}\n"
        "random: {name: 'r{index}-{seed}', count: 1000000000000,\n"
        "  hyperparameters: {seed: {distribution: int_uniform, low: 1, high: 1000000000000}}}",
        "sweep plan bomb",
    ),
    "10^30 steps": (
        "data/sweeps/bomb.yaml",
        f"defaults: {{dataset: small}}\nexperiments: [{{name: a, hyperparameters: "
        f"{{max_steps: {10**30}}}}}]",
        "sweep plan bomb",
    ),
    "a batch of 10^30": (
        "data/sweeps/bomb.yaml",
        f"defaults: {{dataset: small}}\nexperiments: [{{name: a, hyperparameters: "
        f"{{batch_size: {10**30}}}}}]",
        "sweep plan bomb",
    ),
    "a rate of infinity": (
        "data/sweeps/bomb.yaml",
        "defaults: {dataset: small}\nexperiments: [{name: a, hyperparameters: "
        "{learning_rate: .inf}}]",
        "sweep plan bomb",
    ),
    "10^12 drawn episodes": (
        "data/datasets.yaml",
        yaml.safe_dump({"small": small_dataset(10**12)}),
        "check",
    ),
    "drawn images of 10^9 pixels a side": (
        "data/datasets.yaml",
        yaml.safe_dump(
            {"small": {**small_dataset(2), "source": {"kind": "synthetic", "width": 10**9}}}
        ),
        "check",
    ),
    "drawn episodes of 10^12 rows": (
        "data/datasets.yaml",
        yaml.safe_dump(
            {
                "small": {
                    **small_dataset(2),
                    "source": {"kind": "synthetic", "min_frames": 40, "max_frames": 10**12},
                }
            }
        ),
        "check",
    ),
    "frames of 10^9 pixels a side": (
        "data/datasets.yaml",
        yaml.safe_dump({"small": small_dataset(2, frame_size=[10**9, 10**9])}),
        "check",
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder, pieces = tmp_path_factory.mktemp("bombs"), {}
    for number, (kind, (file, words)) in enumerate(FILES.items()):
        for at, (bomb, text) in enumerate(BOMBS.items()):
            root = project(folder / f"{number}-{at}")
            (root / file).write_text(text)
            pieces[f"{kind}: {bomb}"] = command(root, words)
    for name, (file, text, words) in ABSURD.items():
        root = project(folder / str(len(pieces)))
        (root / file).write_text(text)
        pieces[name] = command(root, words)
    return run_limited(pieces, MODULES)


@pytest.mark.parametrize("name", ABSURD)
def test_an_absurd_number_is_refused(name: str, results: dict[str, Result]) -> None:
    assert Path(ABSURD[name][0]).name in results[name].refused()


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("kind", FILES)
def test_a_bomb_is_refused_by_its_file(kind: str, bomb: str, results: dict[str, Result]) -> None:
    assert Path(FILES[kind][0]).name in results[f"{kind}: {bomb}"].refused()
