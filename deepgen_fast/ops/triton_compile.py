"""Triton launchers as torch.library ops, so that torch.compile keeps them whole.

Eager calls go to the launcher directly (an op of torch.library costs tens of microseconds); while a graph is
being traced the call becomes one node, ``torch.ops.deepgen_fast_triton.<name>``. Its fake kernel is the
reference, which on fake tensors computes shapes and dtypes alone, unless the launcher brings its own.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import torch

_library = torch.library.Library("deepgen_fast_triton", "DEF")


def _reference(name: str) -> Callable[..., Any]:
    folder = name.removesuffix("_backward")
    return getattr(importlib.import_module(f"deepgen_fast.ops.{folder}.reference"), name)


def traceable(
    schema: str,
    fake: Callable[..., Any] | None = None,
    layout: Callable[[torch.Tensor], torch.Tensor] | None = torch.Tensor.contiguous,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a launcher under ``schema``; calls under torch.compile go through the registered op.

    The launcher receives tensors in one ``layout`` whatever the caller has: a transposed input, or the gradient of a
    sum, whose strides are zero; or, where ``layout`` is None, tensors as the caller has them.
    """
    name = schema.split("(", 1)[0]

    def register(launcher: Callable[..., Any]) -> Callable[..., Any]:
        def launch(*arguments: Any) -> Any:
            if layout is None:
                return launcher(*arguments)
            return launcher(*(layout(a) if isinstance(a, torch.Tensor) else a for a in arguments))

        _library.define(schema)
        _library.impl(name, launch, "CompositeExplicitAutograd")
        meta = fake or _contiguous_reference(name)
        torch.library.register_fake(f"deepgen_fast_triton::{name}", meta, lib=_library)
        op = getattr(torch.ops.deepgen_fast_triton, name)

        @functools.wraps(launcher)
        def call(*arguments: Any) -> Any:
            return op(*arguments) if torch.compiler.is_compiling() else launch(*arguments)

        return call

    return register


def _contiguous_reference(name: str) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        outputs = _reference(name)(*arguments)
        if isinstance(outputs, torch.Tensor):
            return outputs.contiguous()
        return tuple(output.contiguous() for output in outputs)

    return run
