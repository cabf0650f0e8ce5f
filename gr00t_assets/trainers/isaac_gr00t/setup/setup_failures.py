"""Why a step of the set-up failed, read from what its command printed, and what to do."""

import re
from collections.abc import Sequence

from gr00t_assets.core.errors import Gr00tAssetsError

SHOWN = 15
"""Last lines of output that a message shows."""

FLASH_ATTENTION_WHEEL = (
    "https://github.com/Dao-AILab/flash-attention/releases/download/v2.7.1.post4/"
    "flash_attn-2.7.1.post4+cu12torch2.5cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"
)
"""The build for these pins, at the address that flash-attn's own setup.py puts together."""


class SetupError(Gr00tAssetsError):
    """An environment for Isaac-GR00T cannot be made, or not further."""


_REASONS: Sequence[tuple[str, str, str]] = (
    (
        r"No space left on device|Disk quota exceeded",
        "the disk is full.",
        "free some space: the whole environment takes about 10 GB, and pip as much again in "
        "between under TMPDIR",
    ),
    (
        r"env: .*: No such file or directory",
        "a program that it needs is not installed.",
        "install what the last line names, such as git",
    ),
    (
        r"ensurepip is not\s+available|No module named (ensurepip|venv)",
        "this Python comes without the module venv.",
        "Debian and Ubuntu have it apart: apt install python3.10-venv",
    ),
    (
        r"CUDA_HOME environment variable is not set|nvcc was not found|"
        r"detected CUDA version .* mismatches|Precompiled wheel not found",
        "flash-attn found neither a build for this machine nor a compiler (nvcc) that fits.",
        "install the CUDA toolkit 12.4 and set CUDA_HOME; or install the published build with the "
        f"pip of the environment: pip install {FLASH_ATTENTION_WHEEL}; or, on a machine that does "
        "not train, --skip-flash-attn",
    ),
    (
        r"pathspec '.*' did not match|does not take a path argument|reference is not a tree|"
        r"unable to read tree|not our ref|couldn't find remote ref|invalid reference",
        "the repository does not have this commit whole.",
        "name a commit that it has: --commit HASH",
    ),
    (
        r"would be overwritten by checkout",
        "the checkout has changes of its own, which the other commit would overwrite.",
        "commit or stash them in the checkout",
    ),
    (
        r"Could not resolve host|name resolution|Name or service not known|"
        r"Failed to establish a new connection|Connection (refused|timed out|reset)|"
        r"Network is unreachable|ReadTimeoutError|ConnectTimeoutError|SSLError|"
        r"The requested URL returned error|early EOF|Could not connect",
        "there is no connection to the server, or it broke off.",
        "check the network, and HTTPS_PROXY where it needs one",
    ),
    (
        r"[Rr]epository '?.*'? (not found|does not exist)|does not appear to be a git repository|"
        r"could not read Username|Authentication failed|Permission denied \(publickey\)",
        "the repository is not there, or does not let this machine in.",
        "check --repository",
    ),
    (
        r"No matching distribution found|Could not find a version that satisfies|"
        r"requires a different Python",
        "the package index has no build of a package for this Python and machine.",
        "see which package the last lines name; the pins of N1.5 are for Python 3.10 on Linux",
    ),
    (
        r"Python\.h: No such file|command '?(gcc|cc|g\+\+|c\+\+|x86_64-linux-gnu-gcc)'? failed|"
        r"No such file or directory: '(gcc|g\+\+|cc)'",
        "a package has to be compiled, and the compiler or Python's headers are not there.",
        "Debian and Ubuntu: apt install build-essential python3.10-dev",
    ),
)


def explain(step: str, code: int, output: str, log: str) -> SetupError:
    """Turn the end of a failed command into a message.

    Args:
        step: Which step, in words.
        code: Exit code of the command; 128 + n for signal n.
        output: What it printed.
        log: Path of the file that has it.
    """
    problem, remedy = f"its command ended with code {code}.", "see the last lines"
    if code == 137:
        problem = "its command was killed, as the kernel does where memory runs out."
        remedy = "give it more memory; MAX_JOBS=2 lets flash-attn compile with less"
    for pattern, found, what_to_do in _REASONS:
        if re.search(pattern, output):
            problem, remedy = found, what_to_do
            break
    last = [f"  {line}" for line in output.strip().splitlines()[-SHOWN:]]
    return SetupError(
        step,
        problem,
        [
            f"do: {remedy}",
            "then run the same command again: finished steps are not repeated",
            f"the last lines of {log}:",
            *last,
        ],
    )
