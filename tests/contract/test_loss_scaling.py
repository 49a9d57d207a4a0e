"""Contract 2, rounding: 16-bit gradients are rounded after the incoming gradient was applied, and after a sum."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf
from contract.cases import CASES, Arguments, Case, Shape, case, convert, to_device
from contract.measure import assert_true, assert_within_ulps, largest_error

HALF = (torch.float16, torch.bfloat16)
# Shares of so many examples in a mean are below float16's smallest normal number, and keep few digits or none there.
MANY = Shape(4096, (3,))


def _gradients(case: Case, run, inputs: Arguments, incoming: list[Tensor]) -> list[Tensor]:
    leaves = {n: v.detach().requires_grad_() if n in case.differentiable else v for n, v in inputs.items()}
    outputs = run(leaves)
    sources = [leaves[name] for name in case.differentiable]
    return list(torch.autograd.grad(outputs, sources, [i.to(o) for i, o in zip(incoming, outputs, strict=True)]))


@pytest.mark.parametrize("dtype", HALF, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize("case", [c for c in CASES if c.op != "minibatch_discrimination"], ids=str)
def test_scaled_loss(case: Case, dtype: torch.dtype, backend: str, device: str) -> None:
    """Means are scaled up and sums down, as loss scaling and averaging do: no digit is lost to an early rounding."""
    inputs = case.inputs(MANY, dtype)
    mean = case.options.get("reduction", "mean" if case.op == "negative_elbo" else "sample") == "mean"
    scale = 3000.0 if mean else 3e-3
    shapes = [output.shape for output in case.eager(inputs)]
    # z's incoming gradient is of 16 bits itself.
    incoming = [torch.full(shape, scale, dtype=torch.float32).to(dtype).double() for shape in shapes]
    found = _gradients(case, lambda leaves: case.run(leaves, backend), to_device(inputs, device), incoming)
    wide = convert(inputs, torch.float32)
    eager = _gradients(case, case.eager, wide, incoming)
    truth = _gradients(case, case.eager, convert(inputs, torch.float64), incoming)
    for name, one, own, true in zip(case.differentiable, found, eager, truth, strict=True):
        assert one.dtype == dtype
        assert_true(one.cpu(), true, largest_error(own, true), name)


@pytest.mark.parametrize("scale", [65536.0, 1.0, 2.0**-20])
def test_scaled_features(scale: float, backend: str, device: str) -> None:
    """Minibatch discrimination's gradients too: in float16 as in float32, but for the last rounding."""
    features = (torch.randn(40, 3, 5) / 5).half().to(device)
    grads = []
    for dtype in (torch.float16, torch.float32):
        leaf = features.to(dtype).requires_grad_()
        total = dgf.minibatch_discrimination(leaf, backend=backend).sum()
        grads.append(torch.autograd.grad(total, leaf, torch.full_like(total, scale / 64))[0])
    assert_within_ulps(grads[0], grads[1], 1)


def test_confident_decoder_under_loss_scaling(backend: str, device: str) -> None:
    """A float16 decoder's gradients as PyTorch's own loss gives them under the scale of a GradScaler."""
    scale = torch.tensor(65536.0, device=device)
    logits = torch.full((4096, 1), -9.0, dtype=torch.float16, device=device, requires_grad=True)
    target = torch.zeros_like(logits)
    latents = torch.zeros(4096, 2, dtype=torch.float16, device=device)
    (found,) = torch.autograd.grad(dgf.negative_elbo(logits, target, latents, latents, backend=backend), logits, scale)
    eager = F.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="sum") / 4096
    (expected,) = torch.autograd.grad(eager, logits, scale)
    assert_within_ulps(found, expected, 1)
    assert 0.0019 < found[0].item() < 0.0020


@pytest.mark.parametrize("name", ["negative_elbo-gaussian-shared", "negative_elbo-free-bits-sum-samples"])
@pytest.mark.parametrize("mixed", ["decoder_output", "mean"])
def test_half_beside_float32(name: str, mixed: str, backend: str, device: str) -> None:
    """A decoder in float16 beside latents in float32, and the other way round."""
    chosen = case(name)
    inputs = convert(chosen.inputs(Shape(64, (5,)), torch.float32), torch.float16)
    decoder = ("decoder_output", "target", "likelihood_logvar")
    kept = decoder if mixed == "decoder_output" else ("mean", "logvar")
    inputs = {n: v if n in kept else convert({n: v}, torch.float32)[n] for n, v in inputs.items()}
    if mixed == "mean":
        inputs["target"] = inputs["target"].float()
    incoming = [torch.tensor(777.0)]
    found = _gradients(chosen, lambda given: chosen.run(given, backend), to_device(inputs, device), incoming)
    truth = _gradients(chosen, chosen.eager, convert(inputs, torch.float64), incoming)
    for value, true, label in zip(found, truth, chosen.differentiable, strict=True):
        assert value.dtype == inputs[label].dtype
        assert_true(value.cpu(), true, 2e-6 * true.abs().max().item(), label)


@pytest.mark.parametrize("dtype", (*HALF, torch.float32), ids=lambda dtype: str(dtype)[6:])
def test_compiled(dtype: torch.dtype) -> None:
    """torch.compile makes 16-bit gradients in the backward, with the incoming gradient in them."""
    inputs = case("negative_elbo-gaussian-samples").inputs(Shape(6, (5,)), dtype)
    names = case("negative_elbo-gaussian-samples").differentiable

    def step(**inputs) -> Tensor:
        return 3000.0 * dgf.negative_elbo(**inputs)

    grads = []
    for run in (step, torch.compile(step, backend="aot_eager", fullgraph=True)):
        leaves = {n: v.detach().requires_grad_() if n in names else v for n, v in inputs.items()}
        grads.append(torch.autograd.grad(run(**leaves), [leaves[name] for name in names]))
    for name, eager, compiled in zip(names, *grads, strict=True):
        assert_within_ulps(compiled, eager, 0 if dtype in HALF else 1, name)
