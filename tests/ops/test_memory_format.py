"""Images brought from one memory format to the other: PyTorch's numbers, PyTorch's strides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from deepgen_fast.ops.kernels import has_kernel
from deepgen_fast.ops.memory_format import in_format
from ops.instruction_sets import assert_agree

# Squares of 16 channels by 16 pixels, and what is left over in either direction; several parts of 64 columns.
SHAPES = [
    (2, 16, 4, 4),
    (3, 17, 5, 7),
    (1, 64, 7, 7),
    (2, 100, 9, 9),
    (5, 48, 1, 16),
    (2, 130, 16, 16),
    (33, 31, 12, 12),
]
FORMATS = {True: torch.channels_last, False: torch.contiguous_format}

native = pytest.mark.skipif(not has_kernel("in_format", "cpu"), reason="the C++ library is not built")


def _image(shape: tuple[int, ...], last: bool, dtype: torch.dtype = torch.float32) -> Tensor:
    """Without two equal numbers, in the format that it is to leave."""
    return torch.arange(torch.Size(shape).numel()).view(shape).to(dtype).contiguous(memory_format=FORMATS[not last])


def converted() -> dict[str, Tensor]:
    return {f"{shape} {last}": in_format(_image(shape, last), last) for shape in SHAPES for last in FORMATS}


@pytest.mark.parametrize("last", FORMATS, ids=["to channels-last", "to contiguous"])
@pytest.mark.parametrize(
    "shape", [*SHAPES, (2, 3, 8, 8), (4, 64, 2, 2), (3, 1, 6, 6), (2, 5, 1, 1), (0, 16, 4, 4)], ids=str
)
def test_as_pytorch_does(shape: tuple[int, ...], last: bool) -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        image = _image(shape, last, dtype)
        found = in_format(image, last)
        torch.testing.assert_close(found, image, rtol=0, atol=0)
        if min(shape[1], shape[2] * shape[3]) > 1 and shape[0]:
            assert found.stride() == image.contiguous(memory_format=FORMATS[last]).stride()


@native
@pytest.mark.parametrize("last", FORMATS, ids=["to channels-last", "to contiguous"])
def test_strides_of_neither_format(last: bool) -> None:
    """A slice and a transposed image, which the C++ operator leaves to PyTorch's copy."""
    whole = _image((4, 40, 9, 9), last)
    for image in (whole[:, ::2], whole[..., 1:], whole.transpose(2, 3), whole[::2]):
        found = torch.ops.deepgen_fast.in_format(image, last)
        torch.testing.assert_close(found, image, rtol=0, atol=0)
        assert found.is_contiguous(memory_format=FORMATS[last])


@native
@pytest.mark.parametrize("last", FORMATS, ids=["to channels-last", "to contiguous"])
def test_threads_do_not_matter(last: bool) -> None:
    image, threads = _image((33, 64, 9, 9), last), torch.get_num_threads()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            torch.testing.assert_close(in_format(image, last), image, rtol=0, atol=0)
    finally:
        torch.set_num_threads(threads)


@native
def test_instruction_sets_agree(tmp_path: Path) -> None:
    assert_agree("ops.test_memory_format:converted", tmp_path)


def test_is_differentiated() -> None:
    image = _image((2, 32, 6, 6), True).requires_grad_()
    in_format(image, True).square().sum().backward()
    torch.testing.assert_close(image.grad, 2 * image.detach())


@native
def test_opcheck() -> None:
    for last in FORMATS:
        torch.library.opcheck(
            torch.ops.deepgen_fast.in_format, (_image((2, 32, 6, 6), last), last),
            test_utils=("test_schema", "test_faketensor"),
        )  # fmt: skip


@native
def test_bad_input_raises() -> None:
    with pytest.raises(RuntimeError, match="4 dimensions"):
        torch.ops.deepgen_fast.in_format(torch.zeros(3, 4), True)
    with pytest.raises(RuntimeError, match="image must be float16, bfloat16, float32 or float64"):
        torch.ops.deepgen_fast.in_format(torch.zeros(1, 2, 3, 4, dtype=torch.int32), True)
