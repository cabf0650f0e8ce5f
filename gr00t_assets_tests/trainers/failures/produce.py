"""Makes real software fail, each time in a process of its own, and keeps what it prints.

``python produce.py FOLDER DISK`` writes ``NAME.txt`` and, into ``codes.json``, how each ended.
DISK is a file system of one megabyte; without it what needs one is left out. It is run by the
Python of this package and, where there is one, by that of Isaac-GR00T, and imports neither.
"""

import http.server
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

AT_ONCE = 6
"""Processes at a time: most of them wait."""

REFUSALS = {
    "gated": (403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}),
    "missing": (404, {"X-Error-Code": "RepoNotFound"}),
    "revision": (404, {"X-Error-Code": "RevisionNotFound"}),
    "token": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
}
"""Status and headers of the Hub, by the first part of the path that is asked."""


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind = next(kind for kind in REFUSALS if f"/{kind}/GR00T" in self.path)
        status, headers = REFUSALS[kind]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format, *args):
        pass


def hub(kind):
    from huggingface_hub import snapshot_download

    return lambda: snapshot_download(f"{kind}/GR00T-N1.5-3B", etag_timeout=2)


def model(name):
    from transformers import AutoConfig

    return lambda: AutoConfig.from_pretrained(name)


def relative_path():
    from huggingface_hub import snapshot_download

    snapshot_download("data/out/checkpoint-300", repo_type="model")


def no_network():
    from huggingface_hub import constants, snapshot_download

    os.environ["HF_HUB_OFFLINE"] = "1"
    constants.HF_HUB_OFFLINE = True
    snapshot_download("nvidia/GR00T-N1.5-3B")


class Dies:
    def __init__(self, number):
        self.number = number

    def __len__(self):
        return 4

    def __getitem__(self, index):
        os.kill(os.getpid(), self.number)


class Raises(Dies):
    def __getitem__(self, index):
        raise OSError(28, os.strerror(28), "/data/x.npy")


def worker(dataset):
    import torch

    return lambda: list(torch.utils.data.DataLoader(dataset, num_workers=1))


def full_disk_torch(disk):
    import torch

    torch.save({"a": torch.zeros(10**6)}, disk / "a.pt")


def full_disk_safetensors(disk):
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(10**6)}, disk / "a.safetensors")


def full_disk_json(disk):
    (disk / "a.json").write_text("x" * 3_000_000)


def full_disk_numpy(disk):
    import numpy

    numpy.save(disk / "a.npy", numpy.zeros(10**6))


def random_state(folder):
    import numpy
    import torch

    file = folder / f"rng_state_{os.getpid()}.pth"
    torch.save({"numpy": numpy.random.get_state()}, file)
    return file


def resume_pickle(folder):
    import torch

    torch.load(random_state(folder), weights_only=True)


def truncated_state(folder):
    import torch

    file = random_state(folder)
    file.write_bytes(file.read_bytes()[:-200])
    torch.load(file, weights_only=False)


def truncated_weights(folder):
    import torch
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    save_file({"a": torch.zeros(1000)}, file)
    file.write_bytes(file.read_bytes()[:500])
    load_file(file)


def other_shape():
    import torch

    torch.nn.Linear(2, 3).load_state_dict(torch.nn.Linear(2, 4).state_dict())


def no_gpu():
    import torch

    torch.zeros(1).cuda()


def host_memory():
    import torch

    torch.empty(10**14)


def host_memory_numpy():
    import numpy

    numpy.zeros(10**15)


def flash_attention():
    from transformers import Qwen3Config, Qwen3Model

    sizes: dict[str, Any] = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "vocab_size": 8,
        "head_dim": 8,
    }
    config = Qwen3Config(**sizes, num_attention_heads=1, num_key_value_heads=1)
    config._attn_implementation = "flash_attention_2"
    Qwen3Model(config)


def no_wandb_key():
    import wandb

    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        os.environ.pop(name, None)
    wandb.init(project="x", dir="/nowhere")


def protobuf():
    from google.protobuf import descriptor

    names = "full_name index number type cpp_type label default_value message_type enum_type"
    rest: dict[str, Any] = dict.fromkeys(
        f"{names} containing_type is_extension extension_scope".split()
    )
    descriptor.FieldDescriptor(name="a", **rest)


def parquet(folder):
    from pyarrow import parquet as files

    (folder / "a.parquet").write_bytes(b"PAR1" + bytes(100))
    files.read_table(folder / "a.parquet")


def killed(number):
    return lambda: os.kill(os.getpid(), number)


def torchrun(folder, body):
    file = folder / f"train_{os.getpid()}.py"
    file.write_text(body)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run([*command, "--nproc_per_node=2", str(file)]).returncode


RANK_1_RAISES = """
import os, time
if os.environ["RANK"] == "1":
    raise ValueError("the cause")
time.sleep(30)
"""
RANK_1_IS_KILLED = """
import os, time
if os.environ["RANK"] == "1":
    os.kill(os.getpid(), 9)
time.sleep(30)
"""


def cases(folder, disk):
    """What fails, by the name of its log."""
    found = {
        "torchrun-raises": lambda: torchrun(folder, RANK_1_RAISES),
        "torchrun-killed": lambda: torchrun(folder, RANK_1_IS_KILLED),
        "flash-attn-import": lambda: importlib.import_module("flash_attn"),
        "flash-attn-toggled": flash_attention,
        "no-gpu": no_gpu,
        "host-memory": host_memory,
        "host-memory-numpy": host_memory_numpy,
        "worker-killed": worker(Dies(signal.SIGKILL)),
        "worker-bus-error": worker(Dies(signal.SIGBUS)),
        "worker-segfault": worker(Dies(signal.SIGSEGV)),
        "worker-full-disk": worker(Raises(0)),
        "hub-gated": hub("gated"),
        "hub-missing": hub("missing"),
        "hub-revision": hub("revision"),
        "hub-token": hub("token"),
        "hub-gated-config": model("gated/GR00T-N1.5-3B"),
        "hub-missing-config": model("missing/GR00T-N1.5-3B"),
        "hub-offline": no_network,
        "relative-path": relative_path,
        "wandb-key": no_wandb_key,
        "protobuf": protobuf,
        "resume-pickle": lambda: resume_pickle(folder),
        "truncated-state": lambda: truncated_state(folder),
        "truncated-weights": lambda: truncated_weights(folder),
        "other-shape": other_shape,
        "parquet-damaged": lambda: parquet(folder),
        "segfault": killed(signal.SIGSEGV),
        "bus-error": killed(signal.SIGBUS),
        "killed": killed(signal.SIGKILL),
        "terminated": killed(signal.SIGTERM),
    }
    if disk is not None:
        writers = (full_disk_torch, full_disk_safetensors, full_disk_json, full_disk_numpy)
        found |= {each.__name__.replace("_", "-"): lambda each=each: each(disk) for each in writers}
    return found


def start(case, log):
    """Let it fail in a forked process, whose number is given."""
    child = os.fork()
    if child:
        return child
    descriptor = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    code = 0
    try:
        code = case()
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def main(folder, disk):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    os.environ["HF_HOME"] = str(folder / "hf")
    os.environ["HOME"] = str(folder)
    import huggingface_hub  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401

    codes, running = {}, {}
    for name, case in cases(folder, disk).items():
        alone = name.startswith("full-disk")
        while len(running) >= (1 if alone else AT_ONCE):
            child, status = os.wait()
            codes[running.pop(child)] = os.waitstatus_to_exitcode(status)
        for file in disk.iterdir() if alone else ():
            file.unlink()
        running[start(case, folder / f"{name}.txt")] = name
    while running:
        child, status = os.wait()
        codes[running.pop(child)] = os.waitstatus_to_exitcode(status)
    (folder / "codes.json").write_text(json.dumps(codes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
