"""reparameterize_kl: any posterior, any prior, any number of samples."""

from __future__ import annotations

import torch
from contract.cases import REDUCTIONS
from contract.measure import assert_bitwise, assert_within_ulps
from hypothesis import given
from hypothesis import strategies as st

import deepgen_fast as dgf
from deepgen_fast.random import philox_normal
from properties.agreement import Call, check
from properties.operands import dtypes, incoming, operands, regimes, row_shapes
from properties.posteriors import posteriors


@st.composite
def calls(draw: st.DrawFn) -> Call:
    shape, dtype, regime = draw(row_shapes()), draw(dtypes), draw(regimes)
    given = draw(posteriors(shape, dtype, regime))
    samples = draw(st.sampled_from([None, 1, 3]))
    size = shape if samples is None else (samples, *shape)
    given["noise"] = draw(operands(size, dtype))
    options = {"num_samples": samples, "reduction": draw(st.sampled_from(REDUCTIONS))}
    differentiable = tuple(name for name in given if draw(st.integers(0, 7)) > (6 if name == "noise" else 1))
    return Call("reparameterize_kl", given, options, differentiable, draw(incoming))


@given(calls())
def test_values_and_gradients(call: Call) -> None:
    check(call)


@given(
    shape=row_shapes(),
    samples=st.integers(1, 3),
    seed=st.integers(0, 2**63 - 1),
    fewer=st.integers(0, 17),
    form=st.sampled_from(["logvar", "std"]),
)
def test_noise_depends_on_seed_example_column_and_sample(shape, samples: int, seed: int, fewer: int, form: str) -> None:
    """It is the specification's, and the same in a smaller batch and with fewer samples."""
    generator = torch.Generator()

    def noise(batch: int, samples: int | None) -> torch.Tensor:
        mean = torch.zeros(batch, *shape[1:])
        scale = torch.zeros_like(mean) if form == "logvar" else torch.ones_like(mean)
        generator.manual_seed(seed)
        z, _ = dgf.reparameterize_kl(mean, **{form: scale}, num_samples=samples, generator=generator, backend="cpu")
        return z

    whole = noise(shape[0], samples)
    generator.manual_seed(seed)
    drawn = torch.randint(2**63 - 1, (), generator=generator)
    assert_within_ulps(whole, philox_normal(drawn, (samples, *shape), True).double(), 2)
    batch = min(fewer, shape[0])
    assert_bitwise(noise(batch, None), whole[0, :batch])
