"""Where a trainer runs: on this machine, as a job of Slurm, or as a job of Ray."""
