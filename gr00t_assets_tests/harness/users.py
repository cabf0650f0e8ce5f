"""Commands as other users of this machine: two of one group, who share a store."""

import os
import shlex
import sys
from pathlib import Path

import pytest

ALICE, BOB, GROUP = 60001, 60002, 60000

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")


def as_user(user: int, *command: str, umask: int = 0o002) -> list[str]:
    """A command line that runs another one as a user; root's own Python is opened to it alone."""
    base, script = Path(sys.base_prefix).resolve(), ""
    closed = [folder for folder in base.parents if not folder.stat().st_mode & 1]
    if closed:
        outermost, inner = shlex.quote(str(closed[-1])), shlex.quote(str(base))
        script += (
            f"mount --bind {inner} /mnt && mount -t tmpfs -o mode=755 tmpfs {outermost} && "
            f"mkdir -p {inner} && mount --move /mnt {inner} && "
        )
    script += (
        f'umask {umask:03o} && exec setpriv --reuid={user} --regid={GROUP} --clear-groups "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh", *command]
