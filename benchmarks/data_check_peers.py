"""What other checkers of LeRobot datasets find beside ours: 30 structural faults, one at a time.

    python -m benchmarks.data_check_peers --peers-python PATH

PATH is the Python of an environment of its own with lerobot-doctor, lerobot-lint and
kalanos[all]. Each fault is made in a good dataset of LeRobot's v2 layout, as the tests make it; the
spoilt dataset is then laid out once more as v3.0, its files byte by byte, so that the fault stays.
A checker finds a fault where it prints a warning, an error or a refusal of a kind that it does not
print of the good dataset. Each is called as its manual says, on a folder and without a network.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets_tests.datasets.checks.both_layouts import LAYOUTS, STRUCTURAL_FAULTS, spoil

CONFIG = "fourier_gr1_arms_only"
SECONDS = 300
"""After which a checker that has not answered is stopped, which counts as a refusal."""


def ours(folder: Path, _: Path) -> Iterator[str]:
    """``gr00t-assets dataset check``."""
    command = Path(sys.executable).with_name("gr00t-assets")
    shown = call(command, "dataset", "check", folder, "--data-config", CONFIG, "--json")
    try:
        findings = json.loads(shown.stdout)["findings"]
    except (ValueError, KeyError):
        yield f"refused: {last_line(shown)}"
        return
    yield from (f"{item['code']} {item['severity']}: {item['found']}" for item in findings)


def doctor(folder: Path, programs: Path) -> Iterator[str]:
    """``lerobot-doctor check``."""
    shown = call(programs / "lerobot-doctor", "check", folder, "--json")
    try:
        checks = json.loads(shown.stdout)["checks"]
    except (ValueError, KeyError):
        yield f"refused: {last_line(shown)}"
        return
    for check in checks:
        for message in check["messages"]:
            if message["severity"] != "PASS":
                yield f"{check['name']} {message['severity']}: {message['message']}"


def lint(folder: Path, programs: Path) -> Iterator[str]:
    """``lelint check``, which reads through LeRobot itself."""
    report = folder.parent / "lint.json"
    report.unlink(missing_ok=True)
    shown = call(programs / "lelint", "check", folder, "--json", report)
    if not report.is_file():
        yield f"refused: {last_line(shown)}"
        return
    for item in json.loads(report.read_text())["findings"]:
        if item["severity"] != "info":
            yield f"{item['check']} {item['severity']}: {item['message']}"


def kalanos(folder: Path, programs: Path) -> Iterator[str]:
    """``kalanos grade`` on every frame: findings, flagged metrics, and what it could not read."""
    report = folder.parent / "kalanos.json"
    report.unlink(missing_ok=True)
    shown = call(programs / "kalanos", "grade", folder, "--tier", "full", "--report", report)
    if not report.is_file():
        yield f"refused: {last_line(shown)}"
        return
    content = json.loads(report.read_text())
    for item in content["findings"]:
        yield f"{item['metric_id']} {item['severity']}: {item['value']} {item['unit']}"
    for name in ("skipped", "operational_errors", "binding_conflicts", "duplicates"):
        yield from (f"{name}: {json.dumps(item)}" for item in content[name])
    for name in ("failed", "refused_sources", "notes"):
        yield from (f"{name}: {json.dumps(item)}" for item in content["inventory"][name])
    for episode in content["episodes"]:
        if episode["eligibility"]["status"] != "pass":
            yield f"{episode['eligibility']['status']}: {episode['eligibility']['reasons']}"
    for name, metric in content["score"]["metrics"].items():
        if metric["n_flagged"]:
            yield f"flagged: {name}"


CHECKERS: dict[str, tuple[Callable[[Path, Path], Iterator[str]], tuple[str, ...]]] = {
    "gr00t-assets": (ours, LAYOUTS),
    "lerobot-doctor": (doctor, LAYOUTS),
    "kalanos": (kalanos, LAYOUTS),
    "lerobot-lint": (lint, ("v3",)),
}
"""By name: how it is called, and the layouts that it reads."""


def call(*command: object) -> "subprocess.CompletedProcess[str]":
    """Run a checker, its caches in a folder that goes with it."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ,
            **dict.fromkeys(("HF_HOME", "HF_LEROBOT_HOME", "HF_DATASETS_CACHE"), cache),
            **{"HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "COLUMNS": "400"},
        }
        arguments = [str(item) for item in command]
        try:
            return subprocess.run(
                arguments, capture_output=True, text=True, env=environment, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(arguments, 124, "", f"no answer in {SECONDS} s")


def last_line(shown: "subprocess.CompletedProcess[str]") -> str:
    """What a checker that wrote no report said last."""
    lines = (shown.stderr.strip() or shown.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit code {shown.returncode}"


def kind(message: str) -> str:
    """A message without its numbers, so that a count that changes makes no new message."""
    return re.sub(r"[-+]?\d+(\.\d+)?(e[-+]\d+)?", "#", message)


def measure(folders: dict[str, Path], programs: Path) -> dict[tuple[str, str], list[str]]:
    """Messages by checker and layout."""
    return {
        (name, layout): list(run(folders[layout], programs))
        for name, (run, layouts) in CHECKERS.items()
        for layout in layouts
    }


def versions(python: Path) -> dict[str, str]:
    """Versions of the checkers, and of the LeRobot that lerobot-lint reads through."""
    names = [*list(CHECKERS)[1:], "lerobot"]
    code = "import sys; from importlib.metadata import version\n"
    code += "print(*map(version, sys.argv[1:]))"
    shown = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True)
    return dict(zip(names, shown.stdout.split(), strict=True))


def main() -> int:
    """Print the table; 1 where ours misses a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peers-python", type=Path, required=True)
    parser.add_argument("--faults", nargs="+", default=list(STRUCTURAL_FAULTS))
    parser.add_argument("--show", action="store_true", help="What each checker said, on stderr")
    arguments = parser.parse_args()
    programs = arguments.peers_python.absolute().parent
    totals: dict[tuple[str, str], int] = {}
    lines: list[list[str]] = []
    with tempfile.TemporaryDirectory() as directory:
        good, scratch = Path(directory) / "good", Path(directory) / "scratch"
        spec = SyntheticSource(episodes=3, min_frames=40, max_frames=44, width=96, height=96)
        generate(spec, good)
        usual = measure(spoil(good, scratch, None), programs)
        for (name, layout), messages in usual.items():
            if messages and messages[0].startswith("refused: "):
                raise SystemExit(f"{name} takes no good dataset in {layout}: {messages[0]}")
        kinds = {key: set(map(kind, messages)) for key, messages in usual.items()}
        for fault in arguments.faults:
            cells: dict[str, Any] = {name: [] for name in CHECKERS}
            for (name, layout), messages in measure(spoil(good, scratch, fault), programs).items():
                new = [text for text in messages if kind(text) not in kinds[name, layout]]
                if new:
                    cells[name].append(layout)
                    totals[name, layout] = totals.get((name, layout), 0) + 1
                if arguments.show:
                    text = " ".join(new[0].split())[:300] if new else "-"
                    print(f"{fault} | {name} {layout} | {text}", file=sys.stderr, flush=True)
            lines.append([fault, *(", ".join(found) or "no" for found in cells.values())])
    count = len(arguments.faults)
    lines += [
        [title, *(_by_layout(name, value) for name in CHECKERS)]
        for title, value in (
            ("found", lambda key: f"{totals.get(key, 0)} of {count}"),
            ("warnings of the good dataset", lambda key: len(usual[key])),
        )
    ]
    found = versions(arguments.peers_python)
    print(", ".join(f"{name} {version}" for name, version in found.items()), end="\n\n")
    print(f"| fault | {' | '.join(CHECKERS)} |\n|{'---|' * (len(CHECKERS) + 1)}")
    for line in lines:
        print(f"| {' | '.join(line)} |")
    return 0 if all(totals.get(("gr00t-assets", layout)) == count for layout in LAYOUTS) else 1


def _by_layout(name: str, value: Callable[[tuple[str, str]], object]) -> str:
    return ", ".join(f"{layout} {value((name, layout))}" for layout in CHECKERS[name][1])


if __name__ == "__main__":
    raise SystemExit(main())
