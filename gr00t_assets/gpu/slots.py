"""GPU slots: the right to train on one device, held by the kernel for as long as somebody trains.

A slot is an exclusive ``flock`` on ``<store>/slots/<device>-<slot>.lock``. The guard and the
training process inherit the open file, so the slot is free at the moment when the last of them is
dead, whatever killed the others, and not before. See flock(2).
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.errors import TrainingError
from gr00t_assets.gpu.devices import CPU, GPUS, devices
from gr00t_assets.project import Store

_POLL = 0.5
_REMIND = 60.0


@dataclass(frozen=True)
class Lease:
    """One slot on each of one or more devices, held by open files.

    Attributes:
        devices: Index or UUID of each GPU, or ``cpu``.
        descriptors: The open lock files; hand them to ``Popen(pass_fds=...)``.
    """

    devices: tuple[str, ...]
    descriptors: tuple[int, ...]

    def environment(self) -> dict[str, str]:
        """Variables that show a process these devices and no other; no GPU to a CPU's lease."""
        if self.devices == (CPU,):
            return {"CUDA_VISIBLE_DEVICES": ""}
        order = os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.devices), "CUDA_DEVICE_ORDER": order}

    def record(self, process: int, what: str) -> None:
        """Write who holds the slots, for those who wait."""
        for descriptor in self.descriptors:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {process}, {what}\n".encode(), 0)


@contextmanager
def acquire(
    wanted: int = 1,
    store: Store | None = None,
    what: str = "",
    log: Callable[[str], object] = lambda line: None,
) -> Iterator[Lease]:
    """Wait for slots on ``wanted`` devices and hold them for the block.

    All are taken or none, so that two who want several cannot wait for each other. Who came first
    to wait is served first, so that one who wants several is not passed over for ever.

    Args:
        wanted: Number of different devices.
        store: Store that the machine's trainings share; the project's where left out.
        what: Who asks, for the log lines of others: an experiment's name.
        log: Where a line goes when it waits, and once a minute after that.

    Raises:
        TrainingError: This machine has fewer devices than are wanted.
    """
    available = devices()
    gpus = len(available) if CPU not in available else 0
    if wanted > max(gpus, 1):
        raise TrainingError(
            what or "training",
            f"{wanted} GPUs are wanted and {gpus} are there.",
            [f"lower num_gpus in the sweep file, or name the GPUs in {GPUS}"],
        )
    folder = (store or Store.from_environment()).root / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        lease = _wait(folder, available, wanted, held, log)
        lease.record(os.getpid(), what or "training")
        yield lease


def holders(folder: Path, available: dict[str, int]) -> dict[str, str]:
    """What each slot that is taken says of its holder, by ``<device>-<slot>``."""
    taken = {}
    for device, slots in available.items():
        for slot in range(slots):
            path = _lock_file(folder, device, slot)
            with ExitStack() as held:
                if path.is_file() and _try(path, held) is None:
                    taken[path.stem] = path.read_text().strip() or "unknown"
    return taken


def _wait(
    folder: Path,
    available: dict[str, int],
    wanted: int,
    held: ExitStack,
    log: Callable[[str], object],
) -> Lease:
    reminded = None
    with ExitStack() as turn:
        first_in_line = False
        while True:
            first_in_line = first_in_line or _try(folder / "waiting.lock", turn) is not None
            if first_in_line:
                lease = _take(folder, available, wanted, held)
                if lease is not None:
                    return lease
            if reminded is None or time.monotonic() - reminded >= _REMIND:
                names = "; ".join(f"{k}: {v}" for k, v in holders(folder, available).items())
                log(f"waiting for {wanted} of {sum(available.values())} slots; held by {names}")
                reminded = time.monotonic()
            time.sleep(_POLL)


def _take(folder: Path, available: dict[str, int], wanted: int, held: ExitStack) -> Lease | None:
    """A slot on each of ``wanted`` devices, or none of them.

    Of a device's slots the first of every device is tried before the second of any, so that
    trainings spread over the GPUs.
    """
    with ExitStack() as taken:
        found: dict[str, int] = {}
        for slot in range(max(available.values())):
            for device, slots in available.items():
                if device in found or slot >= slots or len(found) == wanted:
                    continue
                descriptor = _try(_lock_file(folder, device, slot), taken)
                if descriptor is not None:
                    found[device] = descriptor
        if len(found) < wanted:
            return None
        held.push(taken.pop_all())
    ordered = [device for device in available if device in found]
    return Lease(tuple(ordered), tuple(found[device] for device in ordered))


def _lock_file(folder: Path, device: str, slot: int) -> Path:
    return folder / f"{device}-{slot}.lock"


def _try(path: Path, held: ExitStack) -> int | None:
    """Lock a file until ``held`` ends; ``None`` where another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    held.callback(os.close, descriptor)
    return descriptor
