"""The discriminator that no other beats, and what the minimax value says then (section 13.3.4)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Estimate(NamedTuple):
    """A mean over samples, and its standard error."""

    value: float
    standard_error: float


def optimal_logit(log_p_data: Tensor, log_p_model: Tensor) -> Tensor:
    """logit D*(x) = log p_data(x) - log p_model(x): exact where D* itself rounds to 0 or 1.

    Args:
        log_p_data: log p_data(x), of any shape.
        log_p_model: log p_model(x) at the same points.
    """
    if log_p_data.shape != log_p_model.shape:
        raise ValueError(
            f"log_p_model: expected the shape of log_p_data, {list(log_p_data.shape)}, got {list(log_p_model.shape)}"
        )
    return log_p_data - log_p_model


def optimal_discriminator(log_p_data: Tensor, log_p_model: Tensor) -> Tensor:
    """D*(x) = p_data(x) / (p_data(x) + p_model(x)) (13.36, exercise 13-1; Goodfellow et al. 2014, proposition 1).

    For fixed x, `a log D + b log(1 - D)` has its maximum at D = a / (a + b): the discriminator that maximizes the
    minimax value (13.35) point by point. From log-densities, so that no density underflows.

    Args:
        log_p_data: log p_data(x), of any shape.
        log_p_model: log p_model(x) at the same points.
    """
    return torch.sigmoid(optimal_logit(log_p_data, log_p_model))


def minimax_value(real_logits: Tensor, fake_logits: Tensor) -> Estimate:
    """V(D, G) = E_data[log D(x)] + E_z[log(1 - D(G(z)))] (13.35), from samples; minus the discriminator's loss (13.32).

    Args:
        real_logits: logit D(x) of samples of the data, two or more, of any shape.
        fake_logits: logit D(x) of samples of the model, two or more, of any shape.

    Returns:
        V in nats, at most 2 JS - 2 log 2 in expectation, with the standard error that the samples leave.
    """
    variance, value = 0.0, 0.0
    for name, logits in (("real_logits", real_logits), ("fake_logits", -fake_logits)):
        if logits.numel() < 2:
            raise ValueError(f"{name}: expected at least 2 samples, got {logits.numel()}")
        terms = F.logsigmoid(logits.detach().double().flatten())
        value += terms.mean().item()
        variance += terms.var().item() / terms.numel()
    return Estimate(value, math.sqrt(variance))


def minimax_value_at_optimum(js_divergence: float) -> float:
    """2 JS(p_data || p_model) - 2 log 2 (13.40): V at D*. At least -2 log 2 = -1.386, where the densities are equal."""
    return 2 * js_divergence - 2 * math.log(2)


def js_from_minimax_value(value: float) -> float:
    """V / 2 + log 2, equation 13.40 solved for JS: exact for D*, and for any other discriminator a lower bound."""
    return value / 2 + math.log(2)
