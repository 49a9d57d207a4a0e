"""Contract 5, noise: a pure function of seed, example, column and sample, decided by torch's generators."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import deepgen_fast as dgf
from contract.measure import assert_bitwise, assert_within_ulps
from deepgen_fast.random import draw_seed, philox_normal


def _noise(
    backend: str, device: str, *size: int, seed: int = 1, num_samples: int | None = None, dtype=torch.float32
) -> Tensor:
    """What the operator adds to a mean of zero with a standard deviation of one."""
    torch.manual_seed(seed)
    zero, one = torch.zeros(size, dtype=dtype, device=device), torch.ones(size, dtype=dtype, device=device)
    return dgf.reparameterize_kl(zero, std=one, num_samples=num_samples, backend=backend)[0]


@pytest.mark.parametrize("columns", [1, 3, 4, 5, 63, 64, 65, 784, 4097, 40000])
def test_two_ulps_from_the_reference(columns: int, backend: str, device: str) -> None:
    """Noise agrees with the reference, computed in float64 and rounded once, within 2 ulp."""
    for num_samples in (None, 3):
        found = _noise(backend, device, 5, columns, num_samples=num_samples)
        torch.manual_seed(1)
        expected = philox_normal(draw_seed(device), found.shape, num_samples is not None)
        assert_within_ulps(found.cpu(), expected.cpu(), 2)


@pytest.mark.parametrize("columns", [3, 64, 785])
def test_does_not_depend_on_batch_or_samples(columns: int, backend: str, device: str) -> None:
    """The first examples, columns and samples of a larger call are those of a smaller one, to the bit."""
    full = _noise(backend, device, 9, columns, num_samples=4)
    assert_bitwise(_noise(backend, device, 5, columns, num_samples=4), full[:, :5])
    assert_bitwise(_noise(backend, device, 9, columns, num_samples=2), full[:2])
    assert_bitwise(_noise(backend, device, 9, columns), full[0])
    assert_bitwise(_noise(backend, device, 9, columns + 7)[:, :columns], full[0])


def test_event_is_flattened(backend: str, device: str) -> None:
    """A column is a position in the flattened event."""
    assert_bitwise(_noise(backend, device, 4, 3, 5, 7).flatten(1), _noise(backend, device, 4, 105))


def test_dtypes_share_the_noise(backend: str, device: str) -> None:
    """float64 gets the same float32 noise, and half types that noise rounded."""
    noise = _noise(backend, device, 5, 37)
    assert_bitwise(_noise(backend, device, 5, 37, dtype=torch.float64), noise.double())
    for dtype in (torch.bfloat16, torch.float16):
        assert_bitwise(_noise(backend, device, 5, 37, dtype=dtype), noise.to(dtype))


def test_generators_decide(backend: str, device: str) -> None:
    """manual_seed and an explicit generator decide the noise; each call draws a new seed; the generator advances."""
    mean = torch.zeros(3, 5, device=device)

    def sample(generator: torch.Generator | None = None) -> Tensor:
        return dgf.reparameterize_kl(mean, mean, generator=generator, backend=backend)[0]

    torch.manual_seed(3)
    first, second = sample(), sample()
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert_bitwise(sample(), first)
    assert_bitwise(sample(), second)
    own = torch.Generator(device).manual_seed(3)
    assert_bitwise(sample(own), first)
    state = torch.get_rng_state()
    assert_bitwise(sample(own), second)
    assert torch.equal(torch.get_rng_state(), state)  # the default generator is left alone
    own.manual_seed(4)
    assert not torch.equal(sample(own), first)


def test_default_and_given_generator_agree_with_a_second_draw(backend: str, device: str) -> None:
    """The operator draws one seed a call, however large the batch is: what follows does not move."""
    following = []
    for batch in (1, 50):
        torch.manual_seed(9)
        dgf.reparameterize_kl(
            torch.zeros(batch, 8, device=device), torch.zeros(batch, 8, device=device), backend=backend
        )
        following.append(torch.rand(3, device=device))
    assert torch.equal(*following)


@pytest.mark.parametrize("form", ["logvar", "std", "pre_softplus"])
def test_given_noise_within_two_ulps_of_eager(form: str, backend: str, device: str) -> None:
    """``noise=`` overrides; z then agrees with eager within 2 ulp of the larger of z and its terms."""
    mean, scale, noise = torch.randn(3, 64, 33, device=device)
    scale = scale.abs() + 0.1 if form == "std" else scale
    std = {"logvar": lambda s: torch.exp(0.5 * s), "std": lambda s: s, "pre_softplus": torch.nn.functional.softplus}[
        form
    ](scale)
    z, _ = dgf.reparameterize_kl(mean, **{form: scale}, noise=noise, backend=backend)
    expected = mean + noise * std
    size = torch.maximum(expected.abs(), torch.maximum(mean.abs(), (noise * std).abs()))
    assert ((z - expected).abs() <= 2 * torch.finfo(z.dtype).eps * size).all()


def test_moments_and_distribution(backend: str, device: str) -> None:
    """A million draws: moments as of N(0, 1) within 5 standard errors, and the Kolmogorov-Smirnov distance."""
    noise = _noise(backend, device, 1000, 1000).double().flatten().cpu()
    count = noise.numel()
    for power, expected, variance in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)):
        assert abs(noise.pow(power).mean() - expected) < 5 * math.sqrt(variance / count)
    ordered = noise.sort().values
    cumulative = 0.5 * torch.erfc(-ordered / math.sqrt(2))
    steps = torch.arange(count + 1, dtype=torch.float64) / count
    distance = torch.maximum((cumulative - steps[:-1]).abs().max(), (cumulative - steps[1:]).abs().max())
    assert distance < 1.63 / math.sqrt(count)  # the 1 % point


def test_independence(backend: str, device: str) -> None:
    """Neighbors in columns, rows, samples and seeds are uncorrelated, and so are their squares."""
    noise = _noise(backend, device, 500, 40, num_samples=3).double().cpu()
    other_seed = _noise(backend, device, 500, 40, num_samples=3, seed=2).double().cpu()
    pairs = [
        (noise[..., :-1], noise[..., 1:]),
        (noise[:, :-1], noise[:, 1:]),
        (noise[0], noise[1]),
        (noise, other_seed),
    ]
    for first, second in pairs:
        count = first.numel()
        assert abs((first * second).mean()) < 5 / math.sqrt(count)
        assert abs(((first.square() - 1) * (second.square() - 1)).mean()) < 5 * 2 / math.sqrt(count)
        assert not torch.equal(first, second)
