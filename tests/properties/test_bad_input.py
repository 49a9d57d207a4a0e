"""Whatever stands in place of an argument: a result, a ValueError or a TypeError; never a crash."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import deepgen_fast as dgf

ROWS, LATENT = torch.rand(4, 6), torch.rand(4, 3)
IMAGE, WEIGHT, CHANNELS = torch.rand(2, 3, 8, 8), torch.rand(3, 3, 4, 4), torch.ones(3)
_CONVOLUTION = {"x": IMAGE, "weight": WEIGHT, "bias": CHANNELS, "stride": 2, "padding": 1, "algorithm": "auto"}
_NORM = {"running_mean": CHANNELS, "running_var": CHANNELS, "bn_weight": CHANNELS, "bn_bias": CHANNELS,
         "training": True, "momentum": 0.1, "eps": 1e-5, "normalize": True, "activation": "relu",
         "negative_slope": 0.2}  # fmt: skip

# A valid call of each, with every argument.
VALID: dict[str, dict[str, Any]] = {
    "reparameterize_kl": {
        "mean": LATENT, "logvar": LATENT, "num_samples": 2, "noise": torch.rand(2, 4, 3), "prior_mean": LATENT[0],
        "prior_logvar": LATENT, "reduction": "sample",
    },
    "bernoulli_log_likelihood": {"logits": ROWS, "target": ROWS, "mask": ROWS > 0.5, "reduction": "mean"},
    "gaussian_log_likelihood": {
        "mean": ROWS, "target": ROWS, "logvar": ROWS[0], "mask": ROWS > 0.5, "reduction": "none",
    },
    "negative_elbo": {
        "decoder_output": ROWS, "target": ROWS, "mean": LATENT, "pre_softplus": LATENT, "likelihood": "gaussian",
        "likelihood_logvar": ROWS, "mask": ROWS > 0.5, "prior_mean": LATENT, "prior_logvar": LATENT[0], "beta": 1.0,
        "free_bits": 0.1, "reduction": "mean", "return_parts": False,
    },
    "minibatch_discrimination": {"features": IMAGE[0], "include_self": False},
    "conv2d": _CONVOLUTION,
    "conv_transpose2d": {**_CONVOLUTION, "output_padding": 1},
    "conv_bn_act": {**_CONVOLUTION, **_NORM},
    "conv_transpose_bn_act": {**_CONVOLUTION, **_NORM, "output_padding": 0},
}  # fmt: skip

NUMBERS = st.sampled_from(
    [0, -1, 1, 7, 2**63, -(2**70), 0.5, -2.5, 1e300, math.nan, math.inf, -math.inf, True, False,
     np.int64(2), np.float32(0.5)]
)  # fmt: skip
OTHERS = st.sampled_from([None, "", "auto", "mean", "relu", b"sum", [], [1.0], (1, 2), (1, 2, 3), (2.0, 1), {},
                          object(), np.ones(3), torch.float32, slice(1)])  # fmt: skip
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "integers": Tensor.long,
    "bytes": lambda t: t.to(torch.uint8),
    "complex": Tensor.cfloat,
    "wider": Tensor.double,
    "half": Tensor.half,
    "bool": Tensor.bool,
    "meta": lambda t: t.to("meta"),
    "sparse": Tensor.to_sparse,
    "nested": lambda t: torch.nested.nested_tensor([t, t]),
    "quantized": lambda t: torch.quantize_per_tensor(t.float(), 0.1, 0, torch.qint8),
    "longer": lambda t: torch.cat([t, t[..., :1]], -1),
    "shorter": lambda t: t[..., 1:],
    "no columns": lambda t: t[..., :0],
    "no rows": lambda t: t[:0],
    "a dimension more": lambda t: t.unsqueeze(0),
    "a trailing dimension": lambda t: t.unsqueeze(-1),
    "a dimension less": lambda t: t[0],
    "flat": Tensor.flatten,
    "one number": lambda t: t.flatten()[0],
    "reversed dimensions": lambda t: t.permute(*range(t.dim())[::-1]),
    "NaN": lambda t: torch.full_like(t, math.nan) if t.is_floating_point() else t,
    "a subclass": lambda t: torch.nn.Parameter(t, requires_grad=False),
}


@st.composite
def _wrong(draw: st.DrawFn, valid: object) -> tuple[str, Any]:
    """Something else in place of ``valid``, and what to call it."""
    if isinstance(valid, Tensor) and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(CHANGES)))
        return name, CHANGES[name](valid)
    value = draw(st.one_of(NUMBERS, OTHERS))
    return repr(value), value


@pytest.mark.parametrize("op", VALID)
@given(data=st.data())
def test_value_or_type_errors_only(op: str, data: st.DataObject) -> None:
    arguments = dict(VALID[op])
    names = [*arguments, "backend", *["generator"] * (op == "reparameterize_kl")]
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(names))
        arguments[name] = data.draw(_wrong(VALID[op].get(name, "cpu")), label=name)[1]
    try:
        found = getattr(dgf, op)(**{n: v.clone() if isinstance(v, Tensor) else v for n, v in arguments.items()})
    except (ValueError, TypeError) as error:
        assert str(error).strip()
    else:
        assert isinstance(found, (Tensor, tuple))
