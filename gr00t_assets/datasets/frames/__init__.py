"""Decoded frames: the cache that trainers read, and whether backends give the right ones."""
