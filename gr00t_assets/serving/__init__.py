"""A trained policy on the network: the server that robots ask, and a client."""
