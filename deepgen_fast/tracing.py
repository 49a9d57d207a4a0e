"""How torch.compile sees functions that only choose or import what runs, and what is recorded to run elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.fx import Proxy

F = TypeVar("F", bound=Callable[..., Any])


def constant_while_tracing(function: F) -> F:
    """Let a tracing torch.compile call ``function`` and keep its result, in place of tracing into it.

    What ``torch.compiler.assume_constant_result`` does, which imports the whole compiler (seconds) to do it.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def exporting() -> bool:
    """Whether a program is being recorded that may run without this library: torch.export, torch.onnx, torch.jit.trace.

    It gets plain torch operators.
    """
    if torch.compiler.is_compiling():
        return torch.compiler.is_exporting()
    return torch._C._get_tracing_state() is not None


def symbolic(*values: object) -> bool:
    """Whether torch.fx records: one of these stands for a value that later calls give.

    Nothing can be asked of it then, so no argument is checked, and plain torch operators are recorded.
    """
    return any(isinstance(value, Proxy) for value in values)


def call(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """``function(*args, **options)``; where torch.fx records, a node, of functions too that take no tensor."""
    for value in (*args, *options.values()):
        if isinstance(value, Proxy):
            return value.tracer.create_proxy("call_function", function, args, options)
    return function(*args, **options)
