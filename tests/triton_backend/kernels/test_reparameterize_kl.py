"""reparameterize_kl on Triton against its reference in float64."""

from __future__ import annotations

import math

import pytest
import torch
from accuracy import assert_as_accurate_as_eager

from deepgen_fast.ops.reparameterize_kl import reference
from deepgen_fast.ops.reparameterize_kl import triton as kernels
from deepgen_fast.ops.reparameterize_kl.reference import generated_noise

DTYPES = [torch.float32, torch.float64, torch.bfloat16]
SHAPES = [(1, 1), (3, 5), (70, 32), (2, 3, 7), (1, 1031), (1, 4112), (0, 4), (3, 0)]
LOGVAR, STD, PRE_SOFTPLUS = 0, 1, 2


def draw(shape, dtype, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def inputs(shape, dtype, scale_kind, device, prior=False):
    mean, scale = draw(shape, dtype, 1), draw(shape, dtype, 2)
    if scale_kind == STD:
        scale = scale.abs() + 0.125
    prior_mean = draw(shape[1:], dtype, 3).to(device) if prior else None
    prior_logvar = draw(shape, dtype, 4).to(device) if prior else None
    return mean.to(device), scale.to(device), prior_mean, prior_logvar


def noise_like(mean, num_samples):
    shape = mean.shape if num_samples is None else (num_samples, *mean.shape)
    return draw(shape, mean.dtype, 5).to(mean.device)


def check(mean, scale, prior_mean, prior_logvar, noise, num_samples, scale_kind, elementwise):
    arguments = (mean, scale, prior_mean, prior_logvar, noise, None, num_samples, scale_kind, elementwise)
    assert_as_accurate_as_eager(kernels.reparameterize_kl, reference.reparameterize_kl, arguments)
    z, kl = reference.reparameterize_kl(*arguments)
    grad_z, grad_kl = draw(z.shape, z.dtype, 6).to(z.device), draw(kl.shape, kl.dtype, 7).to(z.device)
    for *grads, need_prior in ((grad_z, grad_kl, True), (grad_z, None, True), (None, grad_kl, False)):
        assert_as_accurate_as_eager(
            kernels.reparameterize_kl_backward, reference.reparameterize_kl_backward, (*grads, *arguments, need_prior)
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_dtypes(shape, dtype, device):
    operands = inputs(shape, dtype, LOGVAR, device)
    check(*operands, noise_like(operands[0], None), None, LOGVAR, False)


def test_float16(device):
    operands = inputs((3, 12), torch.float16, LOGVAR, device)
    check(*operands, noise_like(operands[0], None), None, LOGVAR, False)


@pytest.mark.parametrize("elementwise", [False, True])
@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize("scale_kind", [LOGVAR, STD, PRE_SOFTPLUS])
def test_options(scale_kind, prior, elementwise, device):
    operands = inputs((40, 12), torch.float32, scale_kind, device, prior)
    check(*operands, noise_like(operands[0], 3), 3, scale_kind, elementwise)


def test_many_samples_share_a_program(device, monkeypatch):
    monkeypatch.setattr(kernels, "samples_per_program", lambda samples, programs: 4)
    operands = inputs((3, 12), torch.float32, LOGVAR, device)
    for samples in (1, 4, 6):
        check(*operands, noise_like(operands[0], samples), samples, LOGVAR, False)


@pytest.mark.parametrize(("shape", "num_samples"), [((3, 7), None), ((5, 33), 6), ((1, 4112), None)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_generated_noise_equals_the_noise_of_the_reference(shape, num_samples, dtype, device):
    mean, scale, _, _ = inputs(shape, dtype, LOGVAR, device)
    seed = torch.tensor(2**62 + 12345, device=device)
    arguments = (mean, scale, None, None, None, seed, num_samples, LOGVAR, False)
    z, _ = kernels.reparameterize_kl(*arguments)
    # On the CPU: a GPU's own exponential is off by as much as is allowed here.
    expected = reference.reparameterize_kl(*(a.cpu() if isinstance(a, torch.Tensor) else a for a in arguments))[0]
    expected = expected.to(device)
    noise = generated_noise(mean, seed, num_samples)
    size = (mean.float().abs() + torch.exp(0.5 * scale.float()) * noise.abs()) * torch.finfo(dtype).eps
    assert bool(((z.float() - expected.float()).abs() <= 2.0 * size).all())
    grad_z, grad_kl = draw(z.shape, dtype, 6).to(device), draw(shape[:1], torch.float32, 7).to(device)
    found = kernels.reparameterize_kl_backward(grad_z, grad_kl, *arguments, False)
    wanted = reference.reparameterize_kl_backward(grad_z, grad_kl, *arguments, False)
    for ours, theirs in zip(found[:2], wanted[:2], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_noise_of_an_example_depends_on_nothing_else(device):
    seed = torch.tensor(99, device=device)

    def z(batch, samples):
        zero = torch.zeros(batch, 9, device=device)
        return kernels.reparameterize_kl(zero, zero, None, None, None, seed, samples, LOGVAR, False)[0]

    many = z(40, 5)
    assert torch.equal(many[:1, :3], z(3, 1))
    assert torch.equal(many[0], z(40, None))
    assert torch.equal(many, z(41, 6)[:5, :40])


@pytest.mark.parametrize("columns", [12, 200, 5000])
def test_a_row_does_not_depend_on_the_other_rows(columns, device):
    mean, scale, _, _ = inputs((7, columns), torch.float32, LOGVAR, device)
    noise = noise_like(mean, None)
    _, together = kernels.reparameterize_kl(mean, scale, None, None, noise, None, None, LOGVAR, False)
    for row in (0, 6):
        one = slice(row, row + 1)
        alone = kernels.reparameterize_kl(mean[one], scale[one], None, None, noise[one], None, None, LOGVAR, False)[1]
        assert torch.equal(alone, together[one])


def test_special_values(device):
    inf, nan = math.inf, math.nan
    mean = torch.tensor([[0.0, 1e30, nan, inf, 1.0, -1.0, 0.0, 2.0]], device=device)
    scale = torch.tensor([[300.0, 0.0, 0.0, 0.0, -300.0, nan, inf, -inf]], device=device)
    noise = torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]], device=device)
    arguments = (mean, scale, None, None, noise, None, None, LOGVAR, True)
    z, kl = kernels.reparameterize_kl(*arguments)
    expected_z, expected_kl = reference.reparameterize_kl(*arguments)
    assert float(z[0, 0]) == 0.0  # a zero draw stays at the mean where sigma overflows
    torch.testing.assert_close(z, expected_z, equal_nan=True)
    torch.testing.assert_close(kl, expected_kl, equal_nan=True)
    for grad in (torch.zeros_like(kl), torch.ones_like(kl)):
        found = kernels.reparameterize_kl_backward(grad, grad, *arguments, True)
        wanted = reference.reparameterize_kl_backward(grad, grad, *arguments, True)
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, equal_nan=True)


@pytest.mark.parametrize("scale_kind", [LOGVAR, PRE_SOFTPLUS])
@pytest.mark.parametrize("extreme", [-1e4, -200.0, 200.0, 1e4])
def test_finite_input_never_gives_nan(scale_kind, extreme, device):
    mean = torch.tensor([[0.0, 1.0, 0.0, -2.0]], device=device)
    scale = torch.full_like(mean, extreme)
    prior_logvar = torch.tensor([[0.0, 70.0, -70.0, 1.0]], device=device)
    arguments = (mean, scale, None, prior_logvar, torch.zeros_like(mean), None, None, scale_kind, True)
    z, kl = kernels.reparameterize_kl(*arguments)
    assert not bool(z.isnan().any() | kl.isnan().any())
    zero = torch.zeros_like(mean)
    for grad in kernels.reparameterize_kl_backward(zero, zero, *arguments, True):
        assert torch.equal(grad.abs(), zero)


def test_any_layout(device):
    mean, scale = (t.t() for t in inputs((6, 4), torch.float32, LOGVAR, device)[:2])
    prior_mean, prior_logvar = scale[:1].expand(4, 6), draw((12,), torch.float32, 3).to(device)[::2]
    noise = draw((6, 4, 2), torch.float32, 5).to(device).permute(2, 1, 0)
    check(mean, scale, prior_mean, prior_logvar, noise, 2, LOGVAR, False)
    arguments = (mean, scale, None, None, noise, None, 2, LOGVAR, False, False)
    one = torch.ones((), device=device)
    found = kernels.reparameterize_kl_backward(one.expand(2, 4, 6), one.expand(4), *arguments)
    plain = torch.ones(2, 4, 6, device=device), torch.ones(4, device=device)
    wanted = kernels.reparameterize_kl_backward(*plain, *arguments)
    assert all(torch.equal(a, b) for a, b in zip(found[:2], wanted[:2], strict=True))
