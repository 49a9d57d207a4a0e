from __future__ import annotations

import pytest
import torch
from torch import nn

from deepgen_fast.training import ExponentialMovingAverage


def test_numbers():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    ema = ExponentialMovingAverage(model, 0.5)
    expected = 0.0
    for step, weight in enumerate((1.0, 2.0, -4.0)):
        nn.init.constant_(model.weight, weight)
        ema.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    assert ema.state_dict()["weight"].item() == pytest.approx(expected)
    assert (ema.decay_at(0), ema.decay_at(1000)) == (0.1, 0.5)


def test_averages_are_applied_and_taken_away():
    model = nn.Linear(2, 2)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    ema = ExponentialMovingAverage(model, 0.9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    with ema.applied():
        assert all(torch.equal(parameter, old) for parameter, old in zip(model.parameters(), before, strict=True))
    assert all(torch.equal(parameter, old + 1) for parameter, old in zip(model.parameters(), before, strict=True))


def test_averages_come_off_after_an_error():
    model = nn.Linear(2, 2)
    ema = ExponentialMovingAverage(model, 0.9)
    nn.init.constant_(model.bias, 3.0)
    with pytest.raises(KeyError), ema.applied():
        raise KeyError
    assert model.bias.tolist() == [3.0, 3.0]


def test_state_round_trip_and_refusal():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    source, target = ExponentialMovingAverage(first, 0.9), ExponentialMovingAverage(second, 0.9)
    target.load_state_dict(source.state_dict())
    assert torch.equal(target.state_dict()["weight"], first.weight)
    with pytest.raises(ValueError, match="averages and parameters differ in bias"):
        target.load_state_dict({"weight": first.weight})
    with pytest.raises(ValueError, match="decay: expected a number between 0 and 1, got 1"):
        ExponentialMovingAverage(first, 1.0)
