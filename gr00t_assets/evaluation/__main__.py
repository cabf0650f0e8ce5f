"""``python -m gr00t_assets.evaluation RUN_DIRECTORY [OPTIONS]``: evaluate by hand.

Options as those of ``gr00t-assets evaluate``. Exit code 0: ``evaluation.json`` is there. 1: the run
cannot be evaluated, with the explained error on standard error. 130: stopped on request, with
nothing written.
"""

import sys

import typer

from gr00t_assets.cli.evaluate import evaluate
from gr00t_assets.core.errors import Gr00tAssetsError


def main(arguments: list[str] | None = None) -> None:
    """Evaluate one run; see the module."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(evaluate)
    try:
        app(arguments)
    except Gr00tAssetsError as error:
        sys.stderr.write(error.explain() + "\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
