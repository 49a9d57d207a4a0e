"""Errors as a user sees them: one line, exit code 2 for a mistake in the command, 1 for anything else."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

_PROGRAM = "deepgen-fast"
_INTERRUPTED = 130  # what a shell reports after Ctrl-C; Typer turns the KeyboardInterrupt into it

#: Exceptions that carry a message meant for a user; any other is a defect and shows its type.
_EXPECTED = (ValueError, TypeError, OSError, RuntimeError, ImportError, FloatingPointError, KeyError)


class UsageError(typer.BadParameter):
    """A mistake in the command line or in a config file: exit code 2."""


def one_line(error: BaseException) -> str:
    """The message of an exception on one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    # str() of a KeyError is the repr of its key.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    # The frames of C++ that torch adds are for --debug.
    text = text.split("Exception raised from ")[0]
    message = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    if isinstance(error, _EXPECTED) and message:
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


class OneLineErrors(TyperGroup):
    """The root group: runs a command and turns every exception into one line on stderr and an exit code.

    `--debug`, anywhere on the line, shows the traceback instead.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ValueError as error:
            # Imported here: the package's heavier parts should not delay `--help`.
            from deepgen_fast.config import ConfigError
            from deepgen_fast.runs import RunError

            if isinstance(error, RunError):
                flag = "" if error.argument is None else f"--{error.argument.replace('_', '-')}: "
                usage = UsageError(flag + error.message)
            elif isinstance(error, ConfigError):
                usage = UsageError(str(error))
            else:
                raise
            usage.ctx = type(ctx)(self.commands[ctx.invoked_subcommand], info_name=ctx.invoked_subcommand, parent=ctx)
            raise usage from error

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        arguments = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in arguments
        arguments = [argument for argument in arguments if argument != "--debug"]
        extra["standalone_mode"] = False
        try:
            code = super().main(args=arguments, **extra) or 0
            if code == _INTERRUPTED:
                _print("interrupted")
            sys.exit(code)
        except typer.Abort:
            _print("interrupted")
            sys.exit(_INTERRUPTED)
        except Exception as error:
            # Typer's own errors know their exit code and format; which click they come from depends on its
            # version.
            own = hasattr(error, "exit_code") and hasattr(error, "format_message")
            if debug:
                traceback.print_exc()
            elif own:
                _print_usage_error(error)
            else:
                _print(f"{one_line(error)} (--debug shows the traceback)")
            sys.exit(error.exit_code if own else 1)  # type: ignore[attr-defined]


def _print_usage_error(error: Any) -> None:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else _PROGRAM
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    message = " ".join(error.format_message().split())
    _print(f"{message.rstrip('.')} ({command} --help explains)")


def _print(message: str) -> None:
    print(f"{_PROGRAM}: error: {message}", file=sys.stderr)
