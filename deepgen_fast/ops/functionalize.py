"""Autograd Functions under ``torch.func.functionalize``, for which PyTorch has no rule of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._C._functorch import TransformType, is_functionaltensor, peek_interpreter_stack


def functionalizing() -> bool:
    """Whether the innermost torch.func transform at work is ``functionalize``."""
    interpreter = peek_interpreter_stack()
    return interpreter is not None and interpreter.key() == TransformType.Functionalize


def is_functional(tensor: torch.Tensor) -> bool:
    """Whether ``functionalize`` follows what is written to this tensor."""
    return is_functionaltensor(tensor)


def below_functionalize(apply: Callable[..., Any], *args: Any) -> Any:
    """``apply(*args)`` outside the transform: a Function writes to nothing it was given, so that its operands'
    numbers are all it needs."""
    from torch._functorch.pyfunctorch import retrieve_current_functorch_interpreter
    from torch._subclasses.functional_tensor import FunctorchFunctionalizeAPI

    transform = FunctorchFunctionalizeAPI(retrieve_current_functorch_interpreter())  # type: ignore[arg-type]
    operands = transform.unwrap_tensors(args)
    with transform.redispatch_to_next():
        result = apply(*operands)
    if isinstance(result, torch.Tensor):
        return transform.wrap_tensors((result,))[0]
    return transform.wrap_tensors(result)
