"""The Typer application: its commands, and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from deepgen_fast.cli.diagnosis import doctor
from deepgen_fast.cli.errors import OneLineErrors
from deepgen_fast.cli.evaluate import evaluate
from deepgen_fast.cli.interpolation import interpolate
from deepgen_fast.cli.pictures import manifold, reconstruct, sample
from deepgen_fast.cli.quickstart import quickstart
from deepgen_fast.cli.system_commands import SystemCommands

_HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings=_HELP,
)
train = typer.Typer(
    cls=SystemCommands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Train a model. `deepgen-fast train vae --help` shows its flags, and so for every other system.",
)
for command in (evaluate, sample, interpolate, reconstruct, manifold, quickstart, doctor):
    app.command()(command)
app.add_typer(train, name="train")


def _print_version(wanted: bool) -> None:
    if wanted:
        import deepgen_fast

        print(deepgen_fast.__version__)
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fast deep generative models in PyTorch.

    A first look, about two minutes and no network: `deepgen-fast quickstart`.

    Then, step by step:

        deepgen-fast train vae --data mnist5k --out runs/digits

        deepgen-fast evaluate runs/digits

        deepgen-fast sample runs/digits

    Every command explains itself: `deepgen-fast COMMAND --help`.
    """
