"""How torch.compile sees functions that only choose or import what runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable)


def constant_while_tracing(function: F) -> F:
    """Let a tracing torch.compile call ``function`` and keep its result, in place of tracing into it.

    What ``torch.compiler.assume_constant_result`` does, which imports the whole compiler (seconds) to do it.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
