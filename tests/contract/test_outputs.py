"""Contract 3: outputs are the caller's alone, and may be edited in place wherever the plain layers' may."""

from __future__ import annotations

import pytest
import torch

import deepgen_fast as dgf
from contract.cases import Case
from contract.outputs import EVERY_CASE, check_outputs
from deepgen_fast.ops.memory_format import channels_last, owned


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_outputs_are_tensors_of_their_own(case: Case, last: bool, backend: str, device: str) -> None:
    check_outputs(case, backend, device, last)


@pytest.mark.parametrize("operator", ["conv2d", "conv_transpose2d", "conv_bn_act", "conv_transpose_bn_act"])
@pytest.mark.parametrize("kernel", [4, 3])  # of a 3 x 3 image: another algorithm
def test_an_image_without_its_batch(operator: str, kernel: int, backend: str, device: str) -> None:
    x = (
        torch.randn(2, 1, 1, device=device)
        if "transpose" in operator
        else torch.randn(2, kernel, kernel, device=device)
    )
    weight = torch.randn(2, 2, kernel, kernel, device=device, requires_grad=True)
    options = {"training": True, "normalize": False} if "act" in operator else {}
    output = getattr(dgf, operator)(x, weight, stride=1, padding=0, backend=backend, **options)
    assert output.dim() == 3 and not output._is_view()
    output.add_(1.0).sum().backward()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 1), (2, 3)])
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_owned_keeps_numbers_strides_and_gradient(batch: int, size: tuple[int, int], channels: int) -> None:
    base = torch.randn(batch, *size, channels, requires_grad=True)
    view = (2.0 * base).permute(0, 3, 1, 2)
    found = owned(view)
    assert torch.equal(found, view) and found.stride() == view.stride() and not found._is_view()
    assert channels_last(found) == channels_last(view)
    found.mul_(3.0).sum().backward()
    assert torch.equal(base.grad, torch.full_like(base, 6.0))
