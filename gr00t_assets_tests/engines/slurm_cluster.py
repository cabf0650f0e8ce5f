"""A real Slurm on this machine for the length of a test: munged, slurmctld, slurmds with two GPUs.

It needs root, and Debian's packages slurmctld, slurmd, slurm-client and munge. The GPUs are two
devices as /dev/null; ``CUDA_VISIBLE_DEVICES`` is Slurm's. Nothing of it is outside of its
folder, and its ports are its own.
"""

import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
NODE = "node1"

_CONFIG = """
ClusterName=gr00t
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket,cred_expire=5
CredType=cred/munge
CryptoType=crypto/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=100000
SwitchType=switch/none
MpiDefault=none
JobRequeue=1
KillWait=2
MinJobAge=300
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=30
InactiveLimit=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
{nodes}
PartitionName=gpu Nodes=ALL Default=YES MaxTime=1-00:00:00 State=UP PriorityTier=1 GraceTime=0
PartitionName=urgent Nodes=ALL MaxTime=1-00:00:00 State=UP PriorityTier=10
"""


_NODE = (
    "NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 RealMemory=64000 "
    "Gres=gpu:fake:{gpus}"
)


def slurm_lacks() -> str | None:
    """Why no Slurm can be started here; None where one can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        packages = "apt-get install slurmctld slurmd slurm-client munge"
        return f"Slurm is not installed ({', '.join(missing)}): {packages}"
    return None if os.geteuid() == 0 else "a Slurm of one's own needs root"


@dataclass
class SlurmCluster:
    """A running cluster; ``variables`` are what a client of it needs in its environment."""

    root: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """``SLURM_CONF``."""
        return {"SLURM_CONF": str(self.root / "slurm.conf")}

    def command(self, *command: str) -> str:
        """What a command of Slurm prints."""
        environment = {**os.environ, **self.variables}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def jobs(self, states: str = "all") -> list[dict[str, str]]:
        """Jobs that it knows, by their fields, the oldest first."""
        names = ("id", "name", "state", "reason", "comment")
        lines = self.command("squeue", "-h", "-r", "-t", states, "-S", "i", "-o", "%i|%j|%T|%r|%k")
        return [dict(zip(names, line.split("|"), strict=True)) for line in lines.splitlines()]

    def start(self, name: str) -> None:
        """Start ``munged``, ``slurmctld`` or the slurmd of a node, by its name."""
        root = self.root
        own = {
            "munged": [
                "munged", "-F", "--force", "--num-threads=2", f"--key-file={root}/munge.key",
                f"--socket={root}/munge.socket", f"--pid-file={root}/munged.pid",
                f"--log-file={root}/munged.log", f"--seed-file={root}/munge.seed",
            ],
            "slurmctld": ["slurmctld", "-D", "-i", "-f", f"{root}/slurm.conf"],
        }  # fmt: skip
        slurmd = ["slurmd", "-D", "-N", name, "-f", f"{root}/slurm.conf"]
        with (root / f"{name}.out").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                own.get(name, slurmd),
                env={**os.environ, **self.variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """SIGKILL one of them."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        """End all of it, its jobs first, and whatever they left."""
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.command("scancel", "--user=root", "--quiet")
        for name in reversed(list(self.processes)):
            process = self.processes[name]
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill(name)
        for process_id in self.owned():
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)

    def owned(self) -> list[int]:
        """Processes of its daemons and jobs that still run."""
        mark = f"SLURM_CONF={self.root}/slurm.conf".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                own = int(folder.name) == os.getpid()
                if not own and mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def steps(self) -> list[int]:
        """Processes ``slurmstepd`` of its jobs."""
        found = []
        for process in self.owned():
            with suppress(OSError):
                if b"slurmstepd" in Path(f"/proc/{process}/cmdline").read_bytes():
                    found.append(process)
        return found


@contextmanager
def slurm_cluster(gpu_count: int = 2, node_count: int = 1) -> Iterator[SlurmCluster]:
    """A cluster that is idle once the block begins, and of which nothing is left afterwards."""
    root = Path(tempfile.mkdtemp(prefix="slurm-"))  # short, since a socket is in it
    for folder in (root / "state", root / "spool"):
        folder.mkdir()
    gpus = [root / f"gpu{index}" for index in range(gpu_count)]
    for gpu in gpus:  # Slurm takes nothing but devices
        os.mknod(gpu, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (root / "munge.key").write_bytes(os.urandom(128))
    (root / "munge.key").chmod(0o600)
    host, (controller_port, *ports) = (
        socket.gethostname().split(".")[0],
        _free_ports(1 + node_count),
    )
    nodes = {f"node{index + 1}": port for index, port in enumerate(ports)}
    text = _CONFIG.format(
        host=host,
        root=root,
        controller_port=controller_port,
        nodes="\n".join(
            _NODE.format(node=node, host=host, port=port, gpus=gpu_count)
            for node, port in nodes.items()
        ),
    )
    (root / "slurm.conf").write_text(text.lstrip())
    lines = [f"NodeName={node} Name=gpu Type=fake File={gpu}" for node in nodes for gpu in gpus]
    (root / "gres.conf").write_text("\n".join(lines) + "\n")
    (root / "cgroup.conf").write_text("CgroupAutomount=no\n")
    cluster = SlurmCluster(root)
    try:
        for name in ("munged", "slurmctld", *nodes):
            cluster.start(name)
            if name == "munged":
                _wait((root / "munge.socket").exists, cluster)
        _wait(lambda: _idle(cluster), cluster)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(root)


def _idle(cluster: SlurmCluster) -> bool:
    with suppress(AssertionError):
        return cluster.command("sinfo", "-h", "-p", "gpu", "-o", "%T").strip() == "idle"
    return False


def _wait(is_ready: object, cluster: SlurmCluster, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_ready():  # type: ignore[operator]
        ended = [name for name, process in cluster.processes.items() if process.poll() is not None]
        if ended or time.monotonic() > deadline:
            logs = [path for path in cluster.root.glob("*.*") if path.suffix in (".log", ".out")]
            raise AssertionError(
                f"ended: {ended}\n"
                + "\n".join(f"{path.name}:\n{path.read_text()}" for path in logs)
            )
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as servers:
        found = []
        for _ in range(count):
            server = servers.enter_context(socket.socket())
            server.bind(("127.0.0.1", 0))
            found.append(server.getsockname()[1])
        return found
