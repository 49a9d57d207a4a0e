"""The launchers as torch.library ops: schemas, fake kernels, and torch.compile equal to eager."""

from __future__ import annotations

import pytest
import torch

from deepgen_fast.ops.batch_norm_act import triton as batch_norm
from deepgen_fast.ops.bernoulli_log_likelihood import triton as bernoulli
from deepgen_fast.ops.convolution import triton as convolution
from deepgen_fast.ops.gaussian_log_likelihood import triton as gaussian
from deepgen_fast.ops.minibatch_discrimination import triton as minibatch
from deepgen_fast.ops.negative_elbo import triton as elbo
from deepgen_fast.ops.reparameterize_kl import triton as posterior

SHAPE = (3, 4)


@pytest.fixture(autouse=True)
def guarded_outputs():
    """Plain outputs in place of guarded ones: tracing compares storage offsets and copies whole storages."""


def calls(device):
    generator = torch.Generator().manual_seed(0)
    a, b, c = (torch.randn(SHAPE, generator=generator).to(device) for _ in range(3))
    row, logvar = a[:, 0].clone(), torch.tensor(0.5, device=device)
    seed = torch.tensor(7, device=device)
    small, large, weight = (
        torch.randn(shape, generator=generator).to(device) for shape in ((1, 2, 1, 2), (1, 3, 2, 4), (2, 3, 4, 4))
    )
    shift, vector = a[0, :3].clone(), b[0, :3].abs()
    return [
        (posterior.reparameterize_kl, (a, b, None, None, None, seed, 2, 0, False)),
        (
            posterior.reparameterize_kl_backward,
            (torch.stack((a, c)), row, a, b, None, None, None, seed, 2, 0, False, True),
        ),
        (bernoulli.bernoulli_log_likelihood, (a, c, None, False)),
        (bernoulli.bernoulli_log_likelihood_backward, (row, a, c, None, False, True, True)),
        (gaussian.gaussian_log_likelihood, (a, c, logvar, None, True)),
        (gaussian.gaussian_log_likelihood_backward, (row, a, c, logvar, None, False, True, False, True)),
        (elbo.negative_elbo, (a, c, None, None, a, b, None, None, 1.0, 0.0, 1, 0, True, True, None)),
        (minibatch.minibatch_discrimination, (large[0], False)),
        (minibatch.minibatch_discrimination_backward, (weight[0, :, :2, 0], large[0, :, :2], True)),
        (convolution.conv_transpose2d, (small, weight, None, shift, 2, 1, 0, 0, 0, 0.0, True)),
        (convolution.conv2d, (large, weight, None, None, 2, 1, 2, 0.2, False)),
        (convolution.conv2d_weight_gradient, (small, large, 4, 2, 1)),
        (batch_norm.channel_statistics, (large,)),
        (batch_norm.batch_norm_act, (large, shift, vector, vector, None, 1, 0.0)),
        (batch_norm.batch_norm_act_backward, (large, large, shift, vector, None, None, 2, 0.2, True, True, True)),
    ]


NAMES = [launcher.__name__ for launcher, _ in calls("cpu")]


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_opcheck(index, device):
    launcher, arguments = calls(device)[index]
    op = getattr(torch.ops.deepgen_fast_triton, launcher.__name__).default
    torch.library.opcheck(op, arguments, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_compiled_equals_eager(index, device):
    torch.compiler.reset()  # every launcher is the same wrapper to the compiler, which keeps eight versions of one
    launcher, arguments = calls(device)[index]
    compiled = torch.compile(launcher, fullgraph=True, backend="aot_eager")
    found, expected = compiled(*arguments), launcher(*arguments)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0)
