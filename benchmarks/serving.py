"""What serving a policy costs: time added to calling it in the process, and memory by requests.

``python -m benchmarks.serving [--requests N] [--images WIDTH HEIGHT]`` serves the tiny model of a
drawn SO-101 with two cameras in a process of its own. Calls of the policy in this process and
requests of both clients' endpoints take turns; the middle of their differences is the added time.
The CPU time of both processes is told too, which other programs on the machine hardly change.
Then all requests are sent, and the growth of the server's resident memory over the last half is
told. Targets: under 5 ms added, and less than 1 kB a request.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.serving.client import PolicyClient
from gr00t_assets.trainers.policy import Policy, open_policy
from gr00t_assets_tests.evaluation.runs import a_store, make_data, make_run

ADDED_MS, GROWTH_BYTES = 5.0, 1000.0
WARM_UP, ROUNDS = 20, 200


class Cost(FrozenModel):
    """Milliseconds of a call: median, 99th percentile, and what is added to one in the process."""

    p50_ms: float
    p99_ms: float
    added_ms: float
    added_cpu_ms: float


class Growth(FrozenModel):
    """Resident memory of the server over many requests."""

    requests: int
    first_mb: float
    last_mb: float
    bytes_a_request: float


def main() -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--images", type=int, nargs=2, default=(640, 480))
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory() as folder:
        store = a_store(Path(folder))
        make_data(store, robot="so101", episodes=2)
        run = make_run(store, max_steps=1).run_directory
        command = [sys.executable, "-m", "gr00t_assets.cli.main", "serve", str(run), "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().split(",")[0].rpartition(":")[2])
            policy = open_policy(run, "cpu")
            observation = _observation(policy, *options.images)
            with PolicyClient(port=port, timeout=60) as client:
                process = psutil.Process(server.pid)
                costs = _costs(policy, client, observation, process)
                growth = _growth(client, observation, options.requests, process)
        finally:
            server.terminate()
            server.wait()
    print(f"{'call':<15} {'p50 ms':>8} {'p99 ms':>8} {'added ms':>9} {'added CPU ms':>13}")
    for name, cost in costs.items():
        print(
            f"{name:<15} {cost.p50_ms:>8.2f} {cost.p99_ms:>8.2f} {cost.added_ms:>9.2f} "
            f"{cost.added_cpu_ms:>13.2f}"
        )
    print(f"{'requests':>9} {'first MB':>9} {'last MB':>8} {'bytes a request':>16}")
    print(
        f"{growth.requests:>9,} {growth.first_mb:>9.1f} {growth.last_mb:>8.1f} "
        f"{growth.bytes_a_request:>16.0f}"
    )
    slowest = max(cost.added_ms for cost in costs.values())
    print(f"targets: {ADDED_MS:g} ms added, {GROWTH_BYTES:g} bytes a request")
    return 0 if slowest < ADDED_MS and growth.bytes_a_request < GROWTH_BYTES else 1


def _observation(policy: Policy, width: int, height: int) -> dict[str, Any]:
    """As a robot with cameras of this size sees it."""
    images = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    example = policy.example_observation()
    return {name: images if name.startswith("video.") else value for name, value in example.items()}


def _costs(
    policy: Policy, client: PolicyClient, observation: dict[str, Any], server: psutil.Process
) -> dict[str, Cost]:
    """What each way to call the policy takes."""
    flat = {
        name: [value] if isinstance(value, str) else value[None]
        for name, value in observation.items()
    }
    alone = "in the process"
    calls: dict[str, Callable[[], object]] = {
        alone: lambda: policy.act(observation),
        "act": lambda: client.act(observation),
        "get_action": lambda: client.get_action(flat),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + ROUNDS):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if turn >= WARM_UP:
                times[name].append((time.perf_counter() - began) * 1000)
    cpu = {name: _cpu_ms(call, server) for name, call in calls.items()}
    return {
        name: Cost(
            p50_ms=statistics.median(values),
            p99_ms=float(np.percentile(values, 99)),
            added_ms=statistics.median(b - a for a, b in zip(times[alone], values, strict=True)),
            added_cpu_ms=cpu[name] - cpu[alone],
        )
        for name, values in times.items()
    }


def _cpu_ms(call: Callable[[], object], server: psutil.Process) -> float:
    """CPU time of this process and the server for a call, the mean of many."""

    def spent() -> float:
        return time.process_time() + sum(server.cpu_times()[:2])

    before = spent()
    for _ in range(ROUNDS):
        call()
    return (spent() - before) / ROUNDS * 1000


def _growth(
    client: PolicyClient, observation: dict[str, Any], requests: int, server: psutil.Process
) -> Growth:
    """The slope of the resident memory over the last half of the requests."""
    sizes = []
    for _ in range(requests):
        client.act(observation)
        sizes.append(server.memory_info().rss)
    half = np.array(sizes[requests // 2 :], float)
    slope = np.polyfit(np.arange(len(half)), half, 1)[0]
    return Growth(
        requests=requests,
        first_mb=sizes[0] / 1e6,
        last_mb=sizes[-1] / 1e6,
        bytes_a_request=float(slope),
    )


if __name__ == "__main__":
    raise SystemExit(main())
