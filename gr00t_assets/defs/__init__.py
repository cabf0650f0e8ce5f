"""The Dagster layer, the only place that imports dagster."""

import warnings

import dagster as dg

# Partitioned asset checks are a preview in 1.13, and Pipes uses one itself; the pin on 1.13 is what
# these warnings ask for.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
