"""What to run next, as sweeps: plans and their costs, proposed and suggested files, rounds."""
