"""Disk, memory and shared memory of the machine that run out."""

from gr00t_assets.trainers.failures.known import Known, told

_SHARED = (
    "raise it: in a container start it with --shm-size=16g, on the machine remount /dev/shm larger",
    "or lower dataloader_num_workers, now {workers}: batches wait there between loader and trainer",
)
_MEMORY = (
    "see that nothing else takes this machine's memory while it trains",
    "lower dataloader_num_workers, now {workers}: each worker is a process of its own",
    "materialise it again: it goes on from its last complete checkpoint",
)

KNOWN = (
    Known(
        "shared-memory",
        (
            r"insufficient shared memory \(shm\)",
            r"DataLoader worker \(pid \d+\) is killed by signal: Bus error",
            r"unable to allocate shared memory ?\(shm\)",
            r"Couldn't allocate shared memory segment",
            r"unable to mmap \d+ bytes from file </torch_\w+>",
            r"unable to write to file </torch_\w+>",
            r"Error while creating shared memory segment",
        ),
        told("the shared memory of this machine, /dev/shm, is full.", *_SHARED),
        anywhere=True,
    ),
    Known(
        "disk-full",
        (
            r"No space left on device",
            r"\[Errno 28\]",
            r"os error 28",
            r"Disk quota exceeded",
            r"PytorchStreamWriter failed writing file",
            r"enforce fail at inline_container\.cc:\d+\] \. unexpected pos",
            r"^OSError: \d+ requested and \d+ written",
        ),
        told(
            "the disk is full.",
            "free space where data/store, the temporary folder and HF_HOME are: df -h",
            "a checkpoint of the full-size model takes 10 to 20 GB; save_total_limit says how many "
            "are kept",
            "materialise it again: it goes on from its last complete checkpoint",
        ),
        anywhere=True,
    ),
    Known(
        "worker-killed",
        (r"DataLoader worker \(pid \d+\) is killed by signal: Killed",),
        told(
            "a process that loads data was killed, most likely since the machine's memory ran out.",
            "the kernel says so: dmesg | grep -i 'out of memory'; a container has its own limit",
            *_MEMORY,
        ),
    ),
    Known(
        "worker-crashed",
        (
            r"ERROR: Unexpected (?P<signal2>segmentation fault|floating-point exception) "
            r"encountered in worker",
            r"DataLoader worker \(pid \d+\) is killed by signal: (?P<signal>[\w ]+?)\.",
        ),
        told(
            "a process that loads data crashed: {signal}{signal2}.",
            "video readers do that on a damaged or unknown video; see: {check}",
            "with frame_source: cache no video is read while it trains",
        ),
        anywhere=True,
    ),
    Known(
        "host-memory",
        (
            r"DefaultCPUAllocator: (?:can't allocate|not enough) memory",
            r"\[Errno 12\] Cannot allocate memory",
            r"_ArrayMemoryError: Unable to allocate",
            r"^MemoryError\b",
            r"\bstd::bad_alloc\b",
        ),
        told("the memory of this machine, not the GPU's, ran out.", *_MEMORY),
        anywhere=True,
    ),
    Known(
        "open-files",
        (r"\[Errno 24\] Too many open files", r"received 0 items of ancdata"),
        told(
            "the trainer may not open as many files as it needs.",
            "raise the limit in the shell that starts Dagster: ulimit -n 65536",
            "or lower dataloader_num_workers, now {workers}",
        ),
    ),
    Known(
        "worker-gone",
        (r"DataLoader worker \(pid\(s\) [\d, ]+\) exited unexpectedly",),
        told(
            "a process that loads data ended without a word.",
            "the kernel ends a process so where memory runs out: dmesg | grep -i 'out of memory'",
            *_MEMORY,
        ),
        consequence=True,
    ),
)
