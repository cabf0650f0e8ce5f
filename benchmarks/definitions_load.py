"""CPU seconds to load the definitions in a fresh process, by number of experiments.

``python -m benchmarks.definitions_load [--repeats N]``. Targets: under 1 CPU second with 10
experiments, and less than 2 milliseconds for each one more.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
COUNTS = (10, 2000)

LOAD = """
import resource
import gr00t_assets.definitions as module
assert len(module.training.checkpoint.partitions_def.get_partition_keys()) == {count}
module.defs.get_repository_def()
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def make_root(root: Path, count: int) -> None:
    """A project with one sweep of ``count`` experiments."""
    (root / "data" / "sweeps").mkdir(parents=True)
    catalog = (CHECKOUT / "data" / "datasets.yaml").read_text()
    (root / "data" / "datasets.yaml").write_text(catalog)
    shutil.copytree(CHECKOUT / "data" / "data_configs", root / "data" / "data_configs")
    demo = yaml.safe_load((CHECKOUT / "data" / "sweeps" / "demo.yaml").read_text())
    experiments = [
        {"name": f"seed-{seed:04d}", "hyperparameters": {"seed": seed}} for seed in range(count)
    ]
    sweep = {"defaults": {"dataset": demo["defaults"]["dataset"]}, "experiments": experiments}
    (root / "data" / "sweeps" / "generated.yaml").write_text(yaml.safe_dump(sweep))


def measure(count: int, repeats: int) -> tuple[float, float]:
    """CPU seconds, the median of the repeats, and megabytes at the most."""
    with tempfile.TemporaryDirectory() as folder:
        make_root(Path(folder), count)
        environment = os.environ | {"GR00T_ASSETS_ROOT": folder, "PYTHONPATH": str(CHECKOUT)}
        # Without bytecode every run would compile the package again; the first one leaves it.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        found = []
        for _ in range(1 + repeats):
            output = subprocess.check_output(
                [sys.executable, "-c", LOAD.format(count=count)], env=environment, text=True
            )
            found.append([float(value) for value in output.split()])
    del found[0]
    return statistics.median(cpu for cpu, _ in found), max(size for _, size in found) / 1024


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"{'experiments':>11}  {'CPU s':>6}  {'MB':>5}")
    seconds = {}
    for count in COUNTS:
        seconds[count], size = measure(count, repeats)
        print(f"{count:>11}  {seconds[count]:>6.2f}  {size:>5.0f}")
    low, high = COUNTS
    growth = (seconds[high] - seconds[low]) / (high - low) * 1000
    print(f"{growth:.2f} ms for each further experiment; targets: 1 CPU s at {low}, 2 ms")
    return 0 if seconds[low] < 1 and growth < 2 else 1


if __name__ == "__main__":
    raise SystemExit(main())
