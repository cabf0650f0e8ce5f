"""``python -m gr00t_assets.trainers.isaac_gr00t SPEC.json``: train by hand, without Dagster.

Exit codes as those of ``gr00t_assets.trainers.native``.
"""

import sys

from gr00t_assets.trainers.attempt import train_main
from gr00t_assets.trainers.isaac_gr00t.isaac_run import run_spec

if __name__ == "__main__":
    sys.exit(train_main(sys.argv[1:], "gr00t_assets.trainers.isaac_gr00t", run_spec))
