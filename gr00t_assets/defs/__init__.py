"""The Dagster layer, the only place that imports dagster."""
