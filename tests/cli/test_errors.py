"""Every failure of a command: one line on stderr, the right exit code, a traceback only on demand."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner, Result

from deepgen_fast.cli.errors import OneLineErrors, UsageError, one_line

app = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)

FAILURES = {
    "value": ValueError("beta: expected a number\n  of at least 0, got -1"),
    "usage": UsageError("--beta: expected a number of at least 0, got -1"),
    "missing": FileNotFoundError(2, "No such file or directory", "digits.npz"),
    "key": KeyError("latents"),
    "interrupt": KeyboardInterrupt(),
    "defect": AttributeError("no attribute 'x'"),
    "exit": typer.Exit(7),
}


@app.command()
def fail(kind: str, count: Annotated[int, typer.Option(min=1)] = 1) -> None:
    if kind != "nothing":
        raise FAILURES[kind]


@app.command()
def other() -> None: ...


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args), prog_name="deepgen-fast")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["value"], 1, "beta: expected a number; of at least 0, got -1 (--debug shows the traceback)"),
        (["usage"], 2, "--beta: expected a number of at least 0, got -1"),
        (["missing"], 1, "digits.npz: No such file or directory"),
        (["key"], 1, "latents"),
        (["interrupt"], 130, "interrupted"),
        (["defect"], 1, "AttributeError: no attribute 'x'"),
        (["value", "--count", "0"], 2, "--count"),
        (["value", "--cuont", "1"], 2, "--cuont"),
        ([], 2, "Missing argument"),
    ],
)
def test_one_line_and_exit_code(args: list[str], code: int, message: str) -> None:
    result = run("fail", *args)
    assert result.exit_code == code
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("deepgen-fast: error: ")
    assert message in line


def test_usage_errors_point_to_the_command_help() -> None:
    assert "(deepgen-fast fail --help explains)" in run("fail", "value", "--count", "0").stderr


def test_success_and_explicit_exit_codes() -> None:
    assert run("fail", "nothing").exit_code == 0
    result = run("fail", "exit")
    assert result.exit_code == 7
    assert result.stderr == ""


@pytest.mark.parametrize("args", [["--debug", "fail", "value"], ["fail", "value", "--debug"]])
def test_debug_shows_the_traceback(args: list[str]) -> None:
    result = run(*args)
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "ValueError: beta" in result.stderr


def test_frames_of_torch_are_for_debug() -> None:
    error = RuntimeError(
        "Overflow when unpacking long\nException raised from THPUtils_unpackLong at x.h:79\nframe #0: c10"
    )
    assert one_line(error) == "Overflow when unpacking long"


def test_message_of_an_empty_exception_is_its_type() -> None:
    assert one_line(ValueError()) == "ValueError"
