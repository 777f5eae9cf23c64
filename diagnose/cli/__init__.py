"""The command line: one command a module; errors are printed here and nowhere else."""

from __future__ import annotations

import sys

from diagnose.cli.console import complain
from diagnose.errors import DiagnoseError


def main() -> None:
    """Entry point of `diagnose`."""
    from diagnose.cli.app import app

    try:
        app()
    except DiagnoseError as error:
        complain(error)
        sys.exit(error.exit_code)
