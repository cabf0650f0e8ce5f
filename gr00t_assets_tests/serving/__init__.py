"""Tests of the policy server, its client, and what stands between a policy and an arm."""
