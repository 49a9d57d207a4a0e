"""The help teaches: every command gives examples that parse, and a reader finds the first step."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest
import typer

from deepgen_fast.cli.app import app
from deepgen_fast.cli.system_commands import system_command
from deepgen_fast.systems import systems

COMMANDS = [
    *("train vae", "train sentence-vae", "train gan", "train dcgan"),
    *("evaluate", "sample", "interpolate", "reconstruct", "manifold", "quickstart", "doctor"),
]


def help_of(command, name: str) -> str:
    result = command(*name.split(), "--help")
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_gives_examples(command, name: str) -> None:
    text = help_of(command, name)
    assert "Examples:" in text
    assert f"deepgen-fast {name}" in text.split("Examples:")[1]


def examples() -> list[str]:
    found = []
    for info in app.registered_commands:
        documentation = info.callback.__doc__.split("Examples:")[1]
        found += re.findall(r"^ +deepgen-fast (.*)$", documentation, re.MULTILINE)
    for system in systems().values():
        found += re.findall(r"^ +deepgen-fast (.*)$", system_command(system).__doc__, re.MULTILINE)
    return found


@pytest.mark.parametrize("line", examples())
def test_every_flag_of_an_example_exists(line: str) -> None:
    words = shlex.split(line.split(">")[0])
    known = typer.main.get_command(app)
    while words and hasattr(known, "commands") and (command := known.get_command(None, words[0])) is not None:
        known = command
        words.pop(0)
    assert not hasattr(known, "commands")
    flags = {name for parameter in known.params for name in (*parameter.opts, *parameter.secondary_opts)}
    used = {word for word in words if word.startswith("-")}
    assert used <= flags


def test_the_root_help_leads_to_the_first_step(command) -> None:
    text = help_of(command, "")
    assert "deepgen-fast quickstart" in text
    assert "deepgen-fast train vae --data mnist5k" in text


def test_defaults_units_and_reasons_are_shown(command) -> None:
    text = " ".join(help_of(command, "train vae").replace("│", " ").split())
    for phrase in ("[default: (50)]", "nats per example", "combined with --epochs", "[default: (0.001)]"):
        assert phrase in text


def test_no_command_prints_help(command) -> None:
    result = command()
    assert "Usage" in result.output
    assert "quickstart" in result.output


def test_help_imports_nothing_heavy_beyond_torch() -> None:
    heavy = ["matplotlib", "tensorboard", "mlxtend", "triton", "PIL"]
    program = (
        "import sys, torch; before = set(sys.modules);"
        "from typer.testing import CliRunner; from deepgen_fast.cli.app import app;"
        "CliRunner().invoke(app, ['train', 'vae', '--help']);"
        f"print([name for name in {heavy} if name in sys.modules and name not in before])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
