"""The choice of algorithm: by shapes alone, explained, and refused in words where it cannot run."""

from __future__ import annotations

import pytest
import torch

import deepgen_fast as dgf
from deepgen_fast.ops.convolution import algorithm as cost_model
from deepgen_fast.ops.convolution.algorithm import ALGORITHMS, COSTS, KERNELS, choose, direct_cost, winograd_cost
from deepgen_fast.ops.convolution.geometry import Geometry, Shapes
from deepgen_fast.ops.kernels import has_kernel
from ops.convolution.geometries import EDGE, ENGINE, LAYERS, Layer, operands

K4 = Geometry((4, 4), (2, 2), (1, 1))
native = pytest.mark.skipif(not has_kernel("conv2d", "cpu"), reason="the native library is not there")


def shapes(batch: int, small: int, large: int, size: int) -> Shapes:
    return Shapes(batch, small, large, (size, size), (2 * size, 2 * size))


@native
@pytest.mark.parametrize("kernel", KERNELS)
def test_large_layers_take_the_engine_and_small_ones_do_not(kernel: str) -> None:
    arguments = (torch.float32, "cpu", "auto", "cpu")
    assert choose(kernel, K4, shapes(64, 512, 256, 8), *arguments).algorithm == "winograd"
    small = choose(kernel, K4, shapes(1, 8, 8, 1), *arguments)
    assert small.algorithm == "direct" and small.reason


@pytest.mark.parametrize("kernel", KERNELS)
def test_on_a_gpu_the_engine_is_taken_where_float32_is_meant(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32, PyTorch's default, is several times faster than float32; who forbids it gets float32 in fewer products."""
    monkeypatch.setattr(cost_model, "has_kernel", lambda operator, device_type: True)

    def chosen(layer: Shapes, dtype: torch.dtype = torch.float32, tf32: bool = False) -> str:
        return cost_model._choose(kernel, K4, layer, dtype, "cuda", "auto", "cuda", False, tf32).algorithm

    large = shapes(64, 512, 256, 8)
    assert chosen(large) == "winograd"
    assert chosen(large, tf32=True) == chosen(large, torch.bfloat16) == chosen(large, torch.float64) == "direct"
    assert chosen(shapes(64, 128, 3, 32)) == chosen(shapes(1, 64, 64, 4)) == "direct"


@pytest.mark.parametrize("kernel", KERNELS)
def test_choice_is_the_same_under_any_thread_count(kernel: str, threads: None) -> None:
    grid = [shapes(b, a, c, s) for b in (1, 16, 64) for a in (3, 64, 512) for c in (3, 64, 256) for s in (1, 4, 16)]
    choices = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        choices.append([choose(kernel, K4, s, torch.float32, "cpu", "auto", "cpu") for s in grid])
    assert choices[0] == choices[1] == choices[2]


@pytest.mark.parametrize("kernel", KERNELS)
def test_costs_count_products(kernel: str) -> None:
    """At many channels the costs' ratio tends to that of the products: 2.56 for kernel 4 on whole tiles."""
    large = Shapes(4096, 8192, 8192, (8, 8), (16, 16))
    multiply_adds = direct_cost(kernel, K4, large) / COSTS[kernel].direct
    assert COSTS[kernel].product * multiply_adds / winograd_cost(kernel, K4, large) == pytest.approx(2.56, rel=0.1)


@pytest.mark.parametrize("algorithm", ["winograd", "gemm"])
def test_an_algorithm_that_cannot_run_says_why(algorithm: str) -> None:
    x, weight = torch.randn(2, 20, 9, 9), torch.randn(20, 20, 4, 4)
    with pytest.raises(ValueError, match=rf"algorithm='{algorithm}' cannot run: .*kernel 4, stride 3"):
        dgf.conv2d(x, weight, stride=3, algorithm=algorithm)
    with pytest.raises(ValueError, match=rf"algorithm='{algorithm}' cannot run"):
        dgf.conv_transpose2d(x, weight, stride=3, algorithm=algorithm)


def test_winograd_filtering_is_no_backend_of_its_own() -> None:
    x, weight = torch.randn(2, 3, 8, 8), torch.randn(3, 3, 4, 4)
    with pytest.raises(ValueError, match="Winograd filtering is in the native libraries; this is backend 'reference'"):
        dgf.conv2d(x, weight, algorithm="winograd", backend="reference")
    with pytest.raises(ValueError, match="on cpu it is built for float32, float64, bfloat16; this is float16"):
        dgf.conv2d(x.half(), weight.half(), algorithm="winograd")


@native
@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_algorithms_agree(layer: Layer, last: bool) -> None:
    """Values and gradients of whatever serves these operands, in float32, beside float64."""
    given, memory_format = operands(layer), torch.channels_last if last else torch.contiguous_format
    for run, image, shift, options in (
        (dgf.conv_transpose2d, given.small, given.large_bias, layer.transposed),
        (dgf.conv2d, given.large, given.small_bias, layer.forward),
    ):
        results = {}
        for algorithm in ALGORITHMS:
            tensors = [image.to(memory_format=memory_format), given.weight, shift]
            leaves = [t.to(torch.float64 if algorithm == "direct" else t.dtype).requires_grad_() for t in tensors]
            try:
                output = run(*leaves, **options, algorithm=algorithm)
            except ValueError as error:
                assert "cannot run" in str(error)
                continue
            weights = torch.linspace(-1, 1, output.numel()).view(output.shape)
            results[algorithm] = [output, *torch.autograd.grad((output * weights).sum(), leaves)]
        assert "auto" in results and ("winograd" in results) == (layer in ENGINE)
        assert layer not in EDGE or "gemm" in results
        for algorithm in results.keys() - {"direct"}:
            for one, two in zip(results[algorithm], results["direct"], strict=True):
                assert (one - two).norm() <= 3e-6 * two.norm(), algorithm
