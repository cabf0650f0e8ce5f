"""Episodes of a policy in closed loop in a simulator, beside those of rules without a model."""
