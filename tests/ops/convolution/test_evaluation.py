"""Without gradients a norm by running statistics, and the convolution's own bias, are folded into the epilogue."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import deepgen_fast as dgf
from deepgen_fast import backends
from deepgen_fast.ops.convolution import normalized

# (algorithm, transposed, channels in and out, size of the image): layers that each algorithm serves.
LAYERS = [
    ("winograd", False, 32, 48, 12),
    ("winograd", True, 48, 32, 6),
    ("gemm", False, 3, 24, 12),
    ("gemm", True, 24, 3, 6),
    ("direct", False, 32, 48, 12),
    ("auto", True, 48, 32, 6),
]


@pytest.mark.skipif(backends.unavailable("cpu") is not None, reason=str(backends.unavailable("cpu")))
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "no affine"])
@pytest.mark.parametrize("biased", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(("algorithm", "transposed", "inputs", "outputs", "size"), LAYERS)
def test_equals_the_plain_layers(
    algorithm: str, transposed: bool, inputs: int, outputs: int, size: int, biased: bool, affine: bool, monkeypatch
) -> None:
    folds = []
    monkeypatch.setattr(normalized, "folded", lambda *a, f=normalized.folded: folds.append(a) or f(*a))
    x = torch.randn(3, inputs, size, size)
    weight = torch.randn(*((inputs, outputs) if transposed else (outputs, inputs)), 4, 4) / (4 * inputs**0.5)
    bias = torch.randn(outputs) if biased else None
    mean, variance = torch.randn(outputs), torch.rand(outputs) + 0.5
    gain, shift = (torch.randn(outputs), torch.randn(outputs)) if affine else (None, None)
    run, plain = (dgf.conv_transpose_bn_act, F.conv_transpose2d) if transposed else (dgf.conv_bn_act, F.conv2d)
    found = run(
        x, weight, bias, running_mean=mean, running_var=variance, bn_weight=gain, bn_bias=shift, training=False,
        activation="relu", stride=2, padding=1, algorithm=algorithm,
    )  # fmt: skip
    output = plain(x.double(), weight.double(), None if bias is None else bias.double(), stride=2, padding=1)
    wide = [None if one is None else one.double() for one in (mean, variance, gain, shift)]
    expected = F.relu(F.batch_norm(output, *wide, False)).float()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)
    assert bool(folds) == (algorithm in ("winograd", "gemm")) or algorithm == "auto"
