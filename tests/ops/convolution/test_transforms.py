"""torch.func, checkpointing and shared tensors: the convolutions' autograd Functions in every mixture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad, jacrev, vmap
from torch.utils.checkpoint import checkpoint

import deepgen_fast as dgf
from deepgen_fast.ops.kernels import has_kernel
from ops.convolution.geometries import EDGE, ENGINE, Layer, operands

ALGORITHMS = ("direct", *(("winograd",) if has_kernel("conv2d", "cpu") else ()))
CASES = [(layer, algorithm) for layer in ENGINE[:2] for algorithm in ALGORITHMS] + [(EDGE[0], "gemm")]
LANES = 3
Call = Callable[..., Tensor]


def pairs(layer: Layer, algorithm: str) -> list[tuple[Call, Call, list[Tensor]]]:
    """(ours, PyTorch's, operands) of both directions."""
    given = operands(layer, torch.float64, batch=2, channels=(3, 2))

    def both(ours: Call, torchs: Call, options: dict[str, Any], *tensors: Tensor) -> tuple[Call, Call, list[Tensor]]:
        return (lambda *t: ours(*t, **options, algorithm=algorithm)), (lambda *t: torchs(*t, **options)), list(tensors)

    return [
        both(dgf.conv_transpose2d, F.conv_transpose2d, layer.transposed, given.small, given.weight, given.large_bias),
        both(dgf.conv2d, F.conv2d, layer.forward, given.large, given.weight, given.small_bias),
    ]


def assert_same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("mapped", [(0,), (1,), (2,), (0, 1), (0, 1, 2), (1, 2)], ids=str)
@pytest.mark.parametrize(("layer", "algorithm"), CASES, ids=str)
def test_vmap(layer: Layer, algorithm: str, mapped: tuple[int, ...]) -> None:
    """Over images, weights, biases and mixtures, the mapped dimension first or last."""
    for ours, _, tensors in pairs(layer, algorithm):
        dims: list[int | None] = [None, None, None]
        given = list(tensors)
        for index in mapped:
            lanes = torch.stack([torch.randn_like(tensors[index]) for _ in range(LANES)])
            dims[index] = 0 if index != 1 else lanes.dim() - 1
            given[index] = lanes.movedim(0, dims[index])
        found = vmap(ours, tuple(dims))(*given)
        for lane in range(LANES):
            alone = [t if d is None else t.select(d, lane) for t, d in zip(given, dims, strict=True)]
            assert_same(found[lane], ours(*alone))


@pytest.mark.parametrize(("layer", "algorithm"), CASES, ids=str)
def test_per_example_gradients(layer: Layer, algorithm: str) -> None:
    """vmap of grad with shared weights: a weight gradient for each example."""
    for ours, torchs, (image, weight, bias) in pairs(layer, algorithm):

        def gradients(run: Call, image: Tensor = image, weight: Tensor = weight, bias: Tensor = bias):
            loss = lambda w, b, x: run(x.unsqueeze(0), w, b).square().sum()  # noqa: E731
            return vmap(grad(loss, argnums=(0, 1)), (None, None, 0))(weight, bias, image)

        assert_same(gradients(ours), gradients(torchs))


@pytest.mark.parametrize(("layer", "algorithm"), CASES, ids=str)
def test_third_order(layer: Layer, algorithm: str) -> None:
    """Nested torch.func.grad, three deep: each backward is made of the same three kernels."""
    for ours, torchs, (image, weight, bias) in pairs(layer, algorithm):

        def third(run: Call, image: Tensor = image, weight: Tensor = weight, bias: Tensor = bias) -> Tensor:
            first = grad(lambda w: run(image, w, bias).tanh().sum())
            second = grad(lambda w: first(w).square().sum())
            return grad(lambda w: second(w).square().sum())(weight)

        torch.testing.assert_close(third(ours), third(torchs), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("layer", "algorithm"), CASES[:2] + CASES[-1:], ids=str)
def test_jacobian(layer: Layer, algorithm: str) -> None:
    """jacrev, which maps the backward."""
    for ours, torchs, (image, weight, bias) in pairs(layer, algorithm):
        found = jacrev(lambda x: ours(x, weight, bias))(image)  # noqa: B023
        assert_same(found, jacrev(lambda x: torchs(x, weight, bias))(image))  # noqa: B023


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize(("layer", "algorithm"), CASES, ids=str)
def test_checkpoint(layer: Layer, algorithm: str, use_reentrant: bool) -> None:
    """A forward that is run again gives the gradients to the bit."""
    for ours, _, tensors in pairs(layer, algorithm):
        results = []
        for run in (ours, lambda *t: checkpoint(ours, *t, use_reentrant=use_reentrant)):  # noqa: B023
            leaves = [t.clone().requires_grad_() for t in tensors]
            results.append(torch.autograd.grad(run(*leaves).square().sum(), leaves)) if not use_reentrant else None
            if use_reentrant:
                run(*leaves).square().sum().backward()
                results.append([leaf.grad for leaf in leaves])
        for one, two in zip(*results, strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_tensor_as_image_and_weight(algorithm: str) -> None:
    """It gets the sum of both gradients."""
    for ours, torchs in ((dgf.conv2d, F.conv2d), (dgf.conv_transpose2d, F.conv_transpose2d)):
        value = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
        incoming = torch.randn_like(torchs(value, value, stride=2, padding=1))
        found = torch.autograd.grad(ours(value, value, algorithm=algorithm), value, incoming)
        assert_same(found, torch.autograd.grad(torchs(value, value, stride=2, padding=1), value, incoming))


@pytest.mark.parametrize("norm", [True, False], ids=["norm", "no norm"])
def test_per_example_gradients_of_a_block(norm: bool) -> None:
    """Through functional_call, in evaluation, where examples do not share statistics."""
    block = dgf.nn.DiscriminatorBlock(2, 3, norm=norm, algorithm=ALGORITHMS[-1], dtype=torch.float64).eval()
    plain = torch.nn.Sequential(*block)
    x = torch.randn(4, 2, 6, 6, dtype=torch.float64)
    parameters = {name: value.detach() for name, value in block.named_parameters()}

    def gradients(module: torch.nn.Module) -> dict[str, Tensor]:
        def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(module, parameters, (x.unsqueeze(0),)).square().sum()

        return vmap(grad(loss), (None, 0))(parameters, x)

    assert_same(gradients(block), gradients(plain))


def test_batch_statistics_are_each_lanes_own() -> None:
    """A layer in training mode under vmap normalizes each lane by itself."""
    x = torch.randn(LANES, 4, 2, 6, 6, dtype=torch.float64)
    weight = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    for algorithm in ALGORITHMS:
        run = lambda x: dgf.conv_bn_act(x, weight, training=True, algorithm=algorithm)  # noqa: B023, E731
        found, gradient = vmap(run)(x), vmap(grad(lambda x: run(x).square().sum()))(x)  # noqa: B023
        for lane in range(LANES):
            assert_same(found[lane], run(x[lane]))
            assert_same(gradient[lane], grad(lambda x: run(x).square().sum())(x[lane]))  # noqa: B023
