"""What a command has made, told to the project's Dagster, so that the page shows it."""

import os
import sys

from gr00t_assets.core.project import Store, project_root


def tell_dagster(asset: str, experiment: str, store: Store | None = None) -> None:
    """Report a materialisation of an experiment's present configuration, where there is a Dagster.

    The command has done its work by now: what goes wrong here is one line of warning.
    """
    if not os.environ.get("DAGSTER_HOME") and not (project_root() / "dagster.yaml").is_file():
        return
    try:
        from gr00t_assets.defs.rematerialize import report_partition

        report_partition(asset, experiment, store or Store.from_environment())
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        remedy = "gr00t-assets store rematerialize tells it later"
        sys.stderr.write(f"warning: the page does not know of it: {reason}; {remedy}\n")
