"""The convolutions' cases: images in place of rows, algorithms, and layers with batch norm and activation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import deepgen_fast as dgf
from contract.cases import Arguments, Case, Shape
from deepgen_fast.ops.convolution import native
from deepgen_fast.ops.kernels import has_kernel

CHANNELS = 2, 2  # of the small and the large image

# (kernel, stride, padding, output padding)
GEOMETRIES = {"k4": (4, 2, 1, 0), "k3": (3, 2, 1, 1), "k5": (5, 2, 2, 1), "s1": (3, 1, 1, 0), "edge": (4, 1, 0, 0)}


@dataclass(frozen=True, eq=False)
class ConvolutionCase(Case):
    """``algorithm`` is what runs where the backend and the dtype have it; the reference is PyTorch's operator."""

    algorithm: str = "direct"

    def run(self, inputs: Arguments, backend: str = "auto") -> tuple[Tensor, ...]:
        algorithm = self.algorithm
        if algorithm == "winograd" and backend == "reference":
            algorithm = "direct"
        elif algorithm == "winograd":
            device = "cpu" if backend in ("auto", "cpu") else backend
            if not has_kernel("conv2d", device):
                pytest.skip(f"backend {backend} has no Winograd filtering")
            if inputs["x"].dtype not in native.DTYPES[device]:
                algorithm = "direct"
        return (getattr(dgf, self.op)(**inputs, algorithm=algorithm, backend=backend),)


def small_size(shape: Shape) -> tuple[int, int]:
    """Height and width of a small image for a shape of the table: odd and even, one pixel and several tiles."""
    columns = math.prod(shape.event)
    return 1 + columns // 3 % 11, 1 + columns % 3


def _make(transposed: bool, geometry: str, norm: str):
    kernel, stride, padding, output_padding = GEOMETRIES[geometry]
    options: Arguments = {"stride": stride, "padding": padding}
    if transposed:
        options["output_padding"] = output_padding

    def make(shape: Shape, dtype: torch.dtype) -> Arguments:
        size = (1, 1) if geometry == "edge" else small_size(shape)
        if not transposed:
            size = tuple((s - 1) * stride - 2 * padding + kernel + output_padding for s in size)
        inputs, outputs = CHANNELS if transposed else CHANNELS[::-1]
        given: Arguments = {
            "x": torch.randn(shape.batch, inputs, *size).to(dtype),
            "weight": (torch.randn(*CHANNELS, kernel, kernel) / kernel).to(dtype),
        }
        if norm != "batch":
            given["bias"] = torch.randn(outputs).to(dtype)
        if norm in ("batch", "running"):
            wide = torch.float64 if dtype == torch.float64 else torch.float32
            given["bn_weight"] = torch.rand(outputs).to(wide) + 0.5
            given["bn_bias"] = torch.randn(outputs).to(wide)
        if norm == "running":
            given["running_mean"] = torch.randn(outputs).to(wide)
            given["running_var"] = torch.rand(outputs).to(wide) + 0.5
        return {**given, **options}

    return make


def _plain(transposed: bool, geometry: str, algorithm: str) -> ConvolutionCase:
    op = "conv_transpose2d" if transposed else "conv2d"
    make = _make(transposed, geometry, "none")
    label, given = f"{geometry}-{algorithm}", ("x", "weight", "bias")
    return ConvolutionCase(op, label, make, given, ("image",), algorithm=algorithm)


def _layer(transposed: bool, geometry: str, algorithm: str, norm: str, **options: Any) -> ConvolutionCase:
    op = "conv_transpose_bn_act" if transposed else "conv_bn_act"
    given = {
        "none": ("x", "weight", "bias"),
        "batch": ("x", "weight", "bn_weight", "bn_bias"),
        "running": ("x", "weight", "bias", "bn_weight", "bn_bias"),
    }[norm]
    label = f"{geometry}-{algorithm}-{norm}-{options['activation']}"
    options |= {"training": norm == "batch", "normalize": norm != "none"}
    make = _make(transposed, geometry, norm)
    return ConvolutionCase(op, label, make, given, ("image",), options, algorithm)


def _cases() -> Iterator[ConvolutionCase]:
    for transposed in (True, False):
        for geometry in ("k4", "k3", "k5", "s1"):
            yield _plain(transposed, geometry, "winograd")
        yield _plain(transposed, "k4", "direct")
        yield _plain(transposed, "edge", "gemm")
        yield _layer(transposed, "k4", "winograd", "batch", activation="leaky_relu")
        yield _layer(transposed, "k3", "winograd", "none", activation="tanh")
        yield _layer(transposed, "k4", "winograd", "running", activation="sigmoid")
        yield _layer(transposed, "k4", "direct", "batch", activation="tanh")
        yield _layer(transposed, "k4", "direct", "running", activation="relu")
        yield _layer(transposed, "edge", "gemm", "none", activation="sigmoid")
        yield _layer(transposed, "k4", "direct", "none", activation="leaky_relu")


CONVOLUTIONS = tuple(_cases())
TYPICAL_CONVOLUTIONS = tuple(
    case
    for case in CONVOLUTIONS
    if str(case)
    in (
        "conv_transpose2d-k4-winograd",
        "conv2d-edge-product",
        "conv_transpose_bn_act-k4-winograd-batch-leaky_relu",
        "conv_bn_act-k4-winograd-running-sigmoid",
        "conv_bn_act-k3-winograd-none-tanh",
    )
)
