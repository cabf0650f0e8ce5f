"""Declared simulators: what they are, what a policy is shown of them, the scene drawn here."""
