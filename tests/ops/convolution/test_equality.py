"""conv_transpose2d and conv2d against PyTorch's: every geometry, layout and dtype that PyTorch accepts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import deepgen_fast as dgf
from ops.convolution.geometries import EDGE, ENGINE, LAYERS, OTHER, Layer, operands

LAST = torch.channels_last


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_direct_is_pytorchs(layer: Layer, bias: bool, backend: str, device: str) -> None:
    """The bits of PyTorch's operators, values and gradients."""
    given = operands(layer, device=device)
    for run, torchs, image, shift, options in (
        (dgf.conv_transpose2d, F.conv_transpose2d, given.small, given.large_bias, layer.transposed),
        (dgf.conv2d, F.conv2d, given.large, given.small_bias, layer.forward),
    ):
        leaves = [t.clone().requires_grad_() for t in (image, given.weight, shift)[: 2 + bias]]
        found = run(*leaves, **options, algorithm="direct", backend=backend)
        expected = torchs(*leaves, **options)
        assert torch.equal(found, expected)
        incoming = torch.randn_like(expected)
        for one, two in zip(
            torch.autograd.grad(found, leaves, incoming), torch.autograd.grad(expected, leaves, incoming), strict=True
        ):
            assert torch.equal(one, two)


@pytest.mark.parametrize("layer", OTHER, ids=str)
def test_other_geometries_are_pytorchs(layer: Layer, backend: str, device: str) -> None:
    """What the engine does not serve runs PyTorch's operator under "auto"."""
    given = operands(layer, device=device)
    found = dgf.conv_transpose2d(given.small, given.weight, given.large_bias, **layer.transposed, backend=backend)
    assert torch.equal(found, F.conv_transpose2d(given.small, given.weight, given.large_bias, **layer.transposed))
    found = dgf.conv2d(given.large, given.weight, given.small_bias, **layer.forward, backend=backend)
    assert torch.equal(found, F.conv2d(given.large, given.weight, given.small_bias, **layer.forward))


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_values_and_gradients(layer: Layer, backend: str, device: str) -> None:
    """In float64, whatever algorithm "auto" chose, equal to PyTorch within the engine's rounding."""
    given = operands(layer, torch.float64, device=device)
    for run, torchs, image, shift, options in (
        (dgf.conv_transpose2d, F.conv_transpose2d, given.small, given.large_bias, layer.transposed),
        (dgf.conv2d, F.conv2d, given.large, given.small_bias, layer.forward),
    ):
        leaves = [t.clone().requires_grad_() for t in (image, given.weight, shift)]
        found, expected = run(*leaves, **options, backend=backend), torchs(*leaves, **options)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        incoming = torch.randn_like(expected)
        ours = torch.autograd.grad(found, leaves, incoming)
        for one, two in zip(ours, torch.autograd.grad(expected, leaves, incoming), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weight_last", [False, True], ids=["", "weight last"])
@pytest.mark.parametrize("image_last", [False, True], ids=["", "image last"])
@pytest.mark.parametrize("layer", [*ENGINE, *EDGE, OTHER[0]], ids=str)
@pytest.mark.parametrize("batch", [1, 3, 9])
def test_memory_format(
    layer: Layer, image_last: bool, weight_last: bool, batch: int, backend: str, device: str
) -> None:
    """Strides of the result are those that PyTorch gives, where its strides can be told apart."""
    given = operands(layer, device=device, batch=batch)
    weight = given.weight.to(memory_format=LAST) if weight_last else given.weight
    for run, torchs, image, options in (
        (dgf.conv_transpose2d, F.conv_transpose2d, given.small, layer.transposed),
        (dgf.conv2d, F.conv2d, given.large, layer.forward),
    ):
        image = image.to(memory_format=LAST) if image_last else image
        found, expected = run(image, weight, **options, backend=backend), torchs(image, weight, **options)
        torch.testing.assert_close(found, expected)
        assert found.is_contiguous() == expected.is_contiguous()
        assert found.is_contiguous(memory_format=LAST) == expected.is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("layer", [ENGINE[0], EDGE[0], OTHER[0]], ids=str)
def test_without_a_batch(layer: Layer, backend: str, device: str) -> None:
    """``[channels, height, width]``, as PyTorch takes it."""
    given = operands(layer, device=device)
    found = dgf.conv_transpose2d(given.small[0], given.weight, **layer.transposed, backend=backend)
    torch.testing.assert_close(found, F.conv_transpose2d(given.small[0], given.weight, **layer.transposed))
    found = dgf.conv2d(given.large[0], given.weight, **layer.forward, backend=backend)
    torch.testing.assert_close(found, F.conv2d(given.large[0], given.weight, **layer.forward))


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_empty_batch(layer: Layer, backend: str, device: str) -> None:
    """No examples: an output without any, gradients of zeros."""
    given = operands(layer, device=device, batch=0)
    for run, image, shift, options, expected in (
        (dgf.conv_transpose2d, given.small, given.large_bias, layer.transposed, given.large),
        (dgf.conv2d, given.large, given.small_bias, layer.forward, given.small),
    ):
        leaves = [t.clone().requires_grad_() for t in (image, given.weight, shift)]
        found = run(*leaves, **options, backend=backend)
        assert found.shape == expected.shape
        for leaf, grad in zip(leaves, torch.autograd.grad(found.sum(), leaves), strict=True):
            assert grad.shape == leaf.shape and not grad.any()


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8], ids=str)
def test_integers_as_in_pytorch(dtype: torch.dtype, backend: str, device: str) -> None:
    """What PyTorch accepts of other dtypes, it computes; what it refuses, it refuses."""
    image = torch.randint(0, 4, (2, 3, 8, 8)).to(device, dtype)
    weight = torch.randint(0, 3, (3, 3, 4, 4)).to(device, dtype)
    for run, torchs in ((dgf.conv2d, F.conv2d), (dgf.conv_transpose2d, F.conv_transpose2d)):
        try:
            expected = torchs(image, weight, stride=2, padding=1)
        except RuntimeError as error:
            with pytest.raises(RuntimeError, match=str(error)[:20]):
                run(image, weight, backend=backend)
        else:
            assert torch.equal(run(image, weight, backend=backend), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layer", [ENGINE[0], EDGE[0]], ids=str)
def test_half_precision(layer: Layer, dtype: torch.dtype, backend: str, device: str) -> None:
    """Rounded once, at the end: the error is at most PyTorch's own, plus one unit in the last place."""
    given = operands(layer, dtype, device=device)
    wide = operands(layer, torch.float64, device=device)._replace(**{n: t.double() for n, t in given._asdict().items()})
    for run, torchs, name, options in (
        (dgf.conv_transpose2d, F.conv_transpose2d, "small", layer.transposed),
        (dgf.conv2d, F.conv2d, "large", layer.forward),
    ):
        found = run(getattr(given, name), given.weight, **options, backend=backend)
        assert found.dtype == dtype
        truth = torchs(getattr(wide, name), wide.weight, **options)
        own = torchs(getattr(given, name), given.weight, **options)
        bound = (own - truth).abs().max() + torch.finfo(dtype).eps * truth.abs()
        assert ((found - truth).abs() <= bound).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_casts_as_pytorch_does(dtype: torch.dtype, backend: str, device: str) -> None:
    """The lower precision forward, gradients in the dtypes of the leaves."""
    for layer in (ENGINE[0], EDGE[0]):
        given = operands(layer, dtype, device=device)
        for run, torchs, image, shift, options in (
            (dgf.conv_transpose2d, F.conv_transpose2d, given.small, given.large_bias, layer.transposed),
            (dgf.conv2d, F.conv2d, given.large, given.small_bias, layer.forward),
        ):
            grads = []
            for function, more in ((run, {"backend": backend}), (torchs, {})):
                leaves = [t.clone().requires_grad_() for t in (image, given.weight, shift)]
                with torch.autocast(device, torch.bfloat16):
                    output = function(*leaves, **options, **more)
                    assert output.dtype == torch.bfloat16
                    loss = output.float().square().sum()
                grads.append([output, *torch.autograd.grad(loss, leaves)])
            for one, two in zip(*grads, strict=True):
                assert one.dtype == two.dtype
                torch.testing.assert_close(one, two, rtol=2e-2, atol=2e-2 * two.detach().abs().max().item())


def test_autocast_leaves_float64_alone(backend: str, device: str) -> None:
    given = operands(ENGINE[0], torch.float64, device=device)
    with torch.autocast(device, torch.bfloat16):
        assert dgf.conv2d(given.large, given.weight, backend=backend).dtype == torch.float64
