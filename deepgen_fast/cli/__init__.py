"""The command `deepgen-fast`. Nothing but the standard library is imported until a command needs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script."""
    try:
        from deepgen_fast.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(f"deepgen-fast: error: the command needs {error.name}: pip install 'deepgen_fast[train]'")
    app(prog_name="deepgen-fast")
