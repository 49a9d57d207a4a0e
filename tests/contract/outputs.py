"""Whether an operator's outputs belong to the caller alone: no views, nobody else's memory, free to be edited."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from contract.cases import CASES, Arguments, Case, Shape, to_device
from contract.convolutions import CONVOLUTIONS, ConvolutionCase

SHAPES = (Shape(1, (5,)), Shape(2, (3, 2, 5)))


def _every_algorithm() -> Iterator[ConvolutionCase]:
    """Beside what the table asks for: few channels as a product, and what each backend takes by itself."""
    for case in CONVOLUTIONS:
        yield case
        if "k4-direct" in case.label:
            for algorithm in ("gemm", "auto"):
                label = case.label.replace("direct", algorithm)
                yield dataclasses.replace(case, label=label, algorithm=algorithm)


EVERY_CASE = (*CASES, *_every_algorithm())


def _inputs(case: Case, shape: Shape, device: str, last: bool) -> Arguments:
    torch.manual_seed(2)
    inputs = to_device(case.inputs(shape, torch.float32), device)
    if not last:
        return inputs
    images = {name: value for name, value in inputs.items() if isinstance(value, Tensor) and value.dim() == 4}
    return {**inputs, **{name: value.to(memory_format=torch.channels_last) for name, value in images.items()}}


def _called(case: Case, inputs: Arguments, backend: str) -> tuple[Tensor, ...]:
    try:
        return case.run(inputs, backend)
    except ValueError as error:
        if "cannot run" in str(error):
            pytest.skip(str(error))
        raise


def _gradients(
    run: Callable[[Arguments], tuple[Tensor, ...]], case: Case, inputs: Arguments, edit: bool
) -> list[Tensor]:
    leaves = {name: inputs[name].clone().requires_grad_() for name in case.differentiable}
    outputs = run({**inputs, **leaves})
    total: Tensor | float = 0.0
    for output in outputs:
        if edit:
            output.add_(1.0)
        total = total + (output * torch.linspace(0.5, 1.0, output.numel(), device=output.device).view_as(output)).sum()
    assert isinstance(total, Tensor)
    return list(torch.autograd.grad(total, list(leaves.values())))


def _plain_outputs_may_be_edited(case: Case, inputs: Arguments) -> bool:
    try:
        _gradients(case.eager, case, inputs, edit=True)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        return False
    return True


def _assert_own(outputs: tuple[Tensor, ...], inputs: Arguments) -> None:
    taken = [value for value in inputs.values() if isinstance(value, Tensor)]
    for output in outputs:
        assert not output._is_view(), "a view"
        addresses = [tensor.untyped_storage().data_ptr() for tensor in taken if tensor.numel()]
        assert output.untyped_storage().data_ptr() not in addresses, "in the memory of another tensor"
        assert output.numel() == 0 or output.untyped_storage().nbytes() == output.numel() * output.element_size()
        taken.append(output)


def check_outputs(case: Case, backend: str, device: str, last: bool) -> None:
    """In every mode of autograd; images channels-last where ``last``."""
    for shape in SHAPES:
        inputs = _inputs(case, shape, device, last)
        if last and not any(isinstance(value, Tensor) and value.dim() == 4 for value in inputs.values()):
            continue
        with torch.no_grad():
            outputs = _called(case, inputs, backend)
        _assert_own(outputs, inputs)
        for output in outputs:
            output.add_(1.0)
        leaves = {name: inputs[name].clone().requires_grad_() for name in case.differentiable}
        recorded = _called(case, {**inputs, **leaves}, backend)
        _assert_own(recorded, {**inputs, **leaves})
        if not _plain_outputs_may_be_edited(case, inputs):
            continue

        def run(given: Arguments) -> tuple[Tensor, ...]:
            return case.run(given, backend)

        expected = _gradients(run, case, inputs, edit=False)
        for one, two in zip(_gradients(run, case, inputs, edit=True), expected, strict=True):
            torch.testing.assert_close(one, two)
