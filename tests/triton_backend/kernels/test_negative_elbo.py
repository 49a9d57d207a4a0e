"""negative_elbo on Triton, value and gradients, against its reference in float64."""

from __future__ import annotations

import pytest
import torch
from accuracy import assert_as_accurate_as_eager

from deepgen_fast.ops.negative_elbo import reference
from deepgen_fast.ops.negative_elbo import triton as kernels

BERNOULLI, GAUSSIAN = 0, 1
LOGVAR, STD, PRE_SOFTPLUS = 0, 1, 2


def draw(shape, dtype, seed, device):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(device)


def check(
    device,
    *,
    output=(6, 12),
    latents=(6, 4),
    dtype=torch.float32,
    logvar=None,
    mask=False,
    prior=False,
    beta=0.7,
    free_bits=0.0,
    likelihood=BERNOULLI,
    scale_kind=LOGVAR,
    mean_reduction=True,
):
    batch = latents[0]
    target = draw(output[-1:], torch.float32, 0, device).sigmoid().expand(batch, *output[-1:]).contiguous()
    scale = draw(latents, dtype, 3, device)
    arguments = (
        draw(output, dtype, 1, device),
        target,
        None if logvar is None else draw(logvar, dtype, 4, device),
        draw(output[-1:], dtype, 5, device) > -1.0 if mask else None,
        draw(latents, dtype, 2, device),
        scale.abs() + 0.125 if scale_kind == STD else scale,
        draw(latents[1:], dtype, 6, device) if prior else None,
        draw(latents, dtype, 7, device) if prior else None,
        beta,
        free_bits,
        likelihood,
        scale_kind,
        mean_reduction,
    )
    incoming = torch.tensor(-2.7, dtype=torch.float64 if dtype == torch.float64 else torch.float32, device=device)
    for last in ((True, None), (True, incoming), (False, None)):
        assert_as_accurate_as_eager(kernels.negative_elbo, reference.negative_elbo, (*arguments, *last))


@pytest.mark.parametrize("free_bits", [0.0, 0.25])
@pytest.mark.parametrize("mean_reduction", [True, False])
@pytest.mark.parametrize("likelihood", [BERNOULLI, GAUSSIAN])
def test_reductions(likelihood, mean_reduction, free_bits, device):
    check(device, likelihood=likelihood, mean_reduction=mean_reduction, free_bits=free_bits)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("free_bits", [0.0, 0.25])
def test_dtypes(dtype, free_bits, device):
    check(device, dtype=dtype, free_bits=free_bits, likelihood=GAUSSIAN, logvar=(6, 12))


@pytest.mark.parametrize("scale_kind", [LOGVAR, STD, PRE_SOFTPLUS])
@pytest.mark.parametrize("prior", [False, True])
def test_posteriors_and_priors(scale_kind, prior, device):
    check(device, scale_kind=scale_kind, prior=prior, mask=True)


@pytest.mark.parametrize("logvar", [(), (12,), (6, 12), (3, 6, 12)])
def test_samples_and_log_variances(logvar, device):
    check(device, output=(3, 6, 12), likelihood=GAUSSIAN, logvar=logvar, mask=True)


@pytest.mark.parametrize("free_bits", [0.0, 0.25])
def test_long_rows_and_many_examples(free_bits, device):
    check(device, output=(2, 4112), latents=(2, 4112), free_bits=free_bits)
    check(device, output=(1500, 4), latents=(1500, 3), free_bits=free_bits)


@pytest.mark.parametrize(("output", "latents"), [((1, 1), (1, 1)), ((3, 0), (3, 2)), ((3, 2), (3, 0))])
def test_smallest(output, latents, device):
    check(device, output=output, latents=latents, mean_reduction=False)


def test_no_example_sums_to_zero(device):
    check(device, output=(0, 4), latents=(0, 2), mean_reduction=False)


def test_the_loss_has_the_same_bits_every_time(device):
    arguments = (
        draw((50, 33), torch.float32, 1, device),
        draw((50, 33), torch.float32, 2, device),
        None,
        None,
        *(draw((50, 5), torch.float32, seed, device) for seed in (3, 4)),
        *(None, None, 1.0, 0.1, GAUSSIAN, LOGVAR, True, True, None),
    )
    first, second = kernels.negative_elbo(*arguments), kernels.negative_elbo(*arguments)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_gradient_is_zero_under_free_bits(device):
    mean = torch.full((4, 2), 3.0, device=device)
    mean[:, 1] = 0.0
    scale = torch.zeros(4, 2, device=device)  # KL of the second column is 0, of the first 4.5
    pixels = torch.zeros(4, 8, device=device)
    *_, grad_mean, grad_scale = kernels.negative_elbo(
        pixels, pixels, None, None, mean, scale, None, None, 1.0, 0.5, BERNOULLI, LOGVAR, True, True, None
    )
    assert torch.equal(grad_mean[:, 1], torch.zeros(4, device=device))
    assert torch.equal(grad_mean[:, 0], torch.full((4,), 0.75, device=device))
    assert torch.equal(grad_scale, torch.zeros(4, 2, device=device))
