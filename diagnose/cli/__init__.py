"""The command line: one command a module; errors are printed here and nowhere else."""

from __future__ import annotations

import sys

from diagnose.errors import DiagnoseError


def main() -> None:
    """Entry point of `diagnose`."""
    try:
        # Imported here, so that Ctrl-C while the libraries load ends as quietly as any other.
        from diagnose.cli.app import app
        from diagnose.cli.console import complain

        try:
            app()
        except DiagnoseError as error:
            complain(error)
            sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
