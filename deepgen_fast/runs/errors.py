"""What cannot be done with a run."""

from __future__ import annotations


class RunError(ValueError):
    """Something was asked of a run that it cannot do.

    Args:
        message: what was expected and what came.
        argument: the argument at fault, if it is one; the command line shows it as its flag.
    """

    def __init__(self, message: str, argument: str | None = None) -> None:
        super().__init__(message if argument is None else f"{argument}: {message}")
        self.message = message
        self.argument = argument
