"""Batch norm takes and refuses the numbers that PyTorch's does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import deepgen_fast as dgf

NAN, INF = float("nan"), float("inf")
NUMBERS = [
    *(("eps", value) for value in (0, 0.0, -1e-5, 1e-60, 1, INF, NAN, None, "1")),
    *(("momentum", value) for value in (0, 1, -0.1, 2.0, NAN, None, "1")),
    *(("training", value) for value in (1, None)),
    ("running_mean", None),
    ("running_var", None),
]


def _outcome(call: Any) -> Any:
    try:
        return call()
    except (TypeError, ValueError, RuntimeError) as error:
        return error


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "value"), NUMBERS, ids=repr)
def test_as_pytorch(name: str, value: Any, training: bool) -> None:
    x, weight = torch.randn(4, 2, 6, 6), torch.randn(3, 2, 4, 4)
    statistics = []

    def arguments() -> dict[str, Any]:
        statistics.append((torch.zeros(3), torch.ones(3)))
        mean, var = statistics[-1]
        return {"running_mean": mean, "running_var": var, "training": training, name: value}

    expected = _outcome(lambda: F.batch_norm(F.conv2d(x, weight, None, 2, 1), **arguments()))
    found = _outcome(lambda: dgf.conv_bn_act(x, weight, **arguments(), activation="none"))
    if isinstance(expected, Tensor):
        torch.testing.assert_close(found, expected, equal_nan=True, rtol=1e-4, atol=1e-5)
        for one, two in zip(*statistics, strict=True):
            torch.testing.assert_close(one, two, equal_nan=True)
    else:
        assert isinstance(found, (TypeError, ValueError)) and name in str(found)
