"""Environments' processes are forked from a server that ends with the session."""

from gr00t_assets_tests.environments.processes import no_fork_server_left

__all__ = ["no_fork_server_left"]
