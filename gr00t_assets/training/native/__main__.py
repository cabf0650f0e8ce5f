"""``python -m gr00t_assets.training.native SPEC.json``: train by hand, without Dagster.

Exit code 0: finished, or finished before. 1: failed, with the explained error on standard error.
130: stopped on request after writing a checkpoint; the same command goes on from there.
"""

import sys
from pathlib import Path

from gr00t_assets.errors import Gr00tAssetsError
from gr00t_assets.training.spec import load_spec


def main(arguments: list[str]) -> int:
    """Run one spec; see the module."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gr00t_assets.training.native SPEC.json\n")
        return 2
    try:
        spec = load_spec(Path(arguments[0]))
        from gr00t_assets.training.native.run import run_spec

        manifest = run_spec(spec)
    except Gr00tAssetsError as error:
        sys.stderr.write(error.explain() + "\n")
        return 1
    except KeyboardInterrupt:
        return 130
    if manifest.status == "interrupted":
        return 130
    if manifest.final_loss is not None:
        sys.stdout.write(
            f"finished: loss {manifest.final_loss.mean:.4f} ± "
            f"{manifest.final_loss.standard_error:.4f} over the last "
            f"{manifest.final_loss.steps} steps; {spec.run_directory}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
