"""PyTorch's TF32 setting reaches the choice of algorithm from every call, without a GPU: operands are fake tensors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from deepgen_fast import backends, diagnosis
from deepgen_fast.ops.convolution import algorithm as cost_model
from deepgen_fast.ops.convolution import arguments
from deepgen_fast.ops.convolution.algorithm import CONV2D, CONV_TRANSPOSE2D, KERNELS
from deepgen_fast.ops.convolution.dispatch import ConvDescriptor

SETTINGS = {"tf32": "direct", "ieee": "winograd"}  # and what a large layer of float32 runs by


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where the CUDA library is loaded; what was chosen with and without it is forgotten."""
    caches = (backends._choose.cache_clear, cost_model._remembered.cache_clear, arguments._checked.clear)
    before = torch.backends.cudnn.conv.fp32_precision
    monkeypatch.setattr(backends, "unavailable", lambda backend: None)
    monkeypatch.setattr(cost_model, "has_kernel", lambda operator, device_type: True)
    monkeypatch.setattr(arguments, "_PLAIN_TENSORS", frozenset({FakeTensor}))  # so that their checks are remembered too
    for clear in caches:
        clear()
    yield
    torch.backends.cudnn.conv.fp32_precision = before
    for clear in caches:
        clear()


def _fake_layer() -> tuple[Tensor, Tensor, Tensor]:
    """The images [64, 512, 8, 8] and [64, 256, 16, 16], and the weight of a convolution between them."""
    sizes = (64, 512, 8, 8), (64, 256, 16, 16), (512, 256, 4, 4)
    return tuple(torch.empty(size, device="cuda") for size in sizes)  # type: ignore[return-value]


def _descriptor(image: Tensor, weight: Tensor, transposed: bool) -> ConvDescriptor:
    return arguments.check_operands(transposed, image, weight, None, 2, 1, 0, "auto", "auto").descriptor


@pytest.mark.parametrize("compiling", [False, True], ids=["eager", "compiling"])
def test_the_setting_reaches_every_pass(compiling: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward and both gradients, of either convolution; a changed setting takes effect at the next call."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    for setting, algorithm in (*SETTINGS.items(), *SETTINGS.items()):
        torch.backends.cudnn.conv.fp32_precision = setting
        with FakeTensorMode():
            small, large, weight = _fake_layer()
            for transposed, image in ((True, small), (False, large)):
                descriptor = _descriptor(image, weight, transposed)
                assert descriptor.tf32 == (setting == "tf32")
                found = [descriptor.pass_choice(kernel, transposed, image, weight, (0, 0)) for kernel in KERNELS]
                found.append(descriptor.forward_choice(transposed, image, weight, (0, 0), fused=True))
                found += [descriptor.choice(kernel, small, large) for kernel in KERNELS]
                assert {choice.algorithm for choice in found} == {algorithm}, (setting, transposed)


def test_other_dtypes_do_not_ask() -> None:
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    with FakeTensorMode():
        small, _, weight = _fake_layer()
        assert not _descriptor(small.double(), weight.double(), True).tf32
        assert not _descriptor(small.bfloat16(), weight.bfloat16(), True).tf32


@pytest.mark.parametrize("kernel", [CONV2D, CONV_TRANSPOSE2D])
def test_doctor_names_what_runs(kernel: str) -> None:
    """The report's example layer, under either setting."""
    for setting, algorithm in SETTINGS.items():
        torch.backends.cudnn.conv.fp32_precision = setting
        assert f"algorithm {algorithm}" in diagnosis._convolution(kernel, torch.device("cuda"))
