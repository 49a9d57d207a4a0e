"""What a layer inside a network makes, seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


def with_output_of(layer: nn.Module, run: Callable[[], Any]) -> tuple[Any, Any]:
    """(what ``run()`` gives, the output of ``layer`` in it, with its graph).

    Raises:
        RuntimeError: ``run`` does not call the layer.
    """
    outputs: list[Any] = []
    hook = layer.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    try:
        result = run()
    finally:
        hook.remove()
    if not outputs:
        raise RuntimeError(f"a {type(layer).__name__} was not called")
    return result, outputs[-1]
