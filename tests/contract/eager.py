"""What each operator replaces: the expressions a PyTorch user writes, differentiable, in any dtype."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, kl_divergence


def _reduce(elements: Tensor, leading: int, reduction: str) -> Tensor:
    if reduction == "none":
        return elements
    per_example = elements.flatten(leading).sum(leading) if elements.dim() > leading else elements
    if reduction == "sample":
        return per_example
    return per_example.sum() if reduction == "sum" else per_example.mean()


def _masked(elements: Tensor, mask: Tensor | None) -> Tensor:
    return elements if mask is None else torch.where(mask, elements, 0.0)


def _std(logvar: Tensor | None, std: Tensor | None, pre_softplus: Tensor | None) -> Tensor:
    if logvar is not None:
        return torch.exp(0.5 * logvar)
    return F.softplus(pre_softplus, threshold=40.0) if std is None else std  # 20 is not exact in float64


def kl(mean, logvar=None, std=None, pre_softplus=None, prior_mean=None, prior_logvar=None):
    """Per element: the textbook formula where a user writes it, torch.distributions for the other forms."""
    if logvar is not None and prior_mean is None and prior_logvar is None:
        return -0.5 * (1 + logvar - mean.pow(2) - logvar.exp())
    posterior = Normal(mean, _std(logvar, std, pre_softplus), validate_args=False)
    prior_std = torch.ones((), dtype=mean.dtype) if prior_logvar is None else torch.exp(0.5 * prior_logvar)
    prior_mean = torch.zeros((), dtype=mean.dtype) if prior_mean is None else prior_mean
    prior = Normal(prior_mean, prior_std, validate_args=False)
    return kl_divergence(posterior, prior)


def reparameterize_kl(
    mean, logvar=None, *, noise, std=None, pre_softplus=None, num_samples=None, reduction="sample", **prior
):
    z = mean + noise * _std(logvar, std, pre_softplus)
    return z, _reduce(kl(mean, logvar, std, pre_softplus, **prior), 1, reduction)


def bernoulli_log_likelihood(logits, target, *, mask=None, reduction="sample"):
    leading = logits.dim() - target.dim() + 1
    target = target.to(logits.dtype).expand_as(logits)
    elements = -F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (_reduce(_masked(elements, mask), leading, reduction),)


def gaussian_log_likelihood(mean, target, *, logvar=None, mask=None, reduction="sample"):
    leading = mean.dim() - target.dim() + 1
    target = target.to(mean.dtype)
    if logvar is None:
        elements = -0.5 * (math.log(2 * math.pi) + (target - mean) ** 2)
    else:
        elements = -0.5 * (math.log(2 * math.pi) + logvar + (target - mean) ** 2 * torch.exp(-logvar))
    return (_reduce(_masked(elements, mask), leading, reduction),)


def negative_elbo(
    decoder_output, target, mean, logvar=None, *, std=None, pre_softplus=None, likelihood="bernoulli",
    likelihood_logvar=None, mask=None, prior_mean=None, prior_logvar=None, beta=1.0, free_bits=0.0, reduction="mean",
):  # fmt: skip
    if likelihood == "bernoulli":
        (log_likelihood,) = bernoulli_log_likelihood(decoder_output, target, mask=mask)
    else:
        (log_likelihood,) = gaussian_log_likelihood(decoder_output, target, logvar=likelihood_logvar, mask=mask)
    if log_likelihood.dim() == 2:
        log_likelihood = log_likelihood.mean(0)
    elements = kl(mean, logvar, std, pre_softplus, prior_mean, prior_logvar)
    if reduction == "sample":
        return (beta * _reduce(elements, 1, "sample") - log_likelihood,)
    if free_bits > 0:  # Kingma et al. 2016, equation 15
        if mean.shape[0] == 0 and reduction == "sum":  # of no examples: not NaN, as 0 times a mean of nothing is
            return (elements.sum() - log_likelihood.sum(),)
        kl_term = elements.mean(0).clamp(min=free_bits).sum() * (1 if reduction == "mean" else mean.shape[0])
    else:
        kl_term = _reduce(elements, 1, reduction)
    return (beta * kl_term - _reduce(log_likelihood, 1, reduction),)


def minibatch_discrimination(features, *, include_self=False):
    batch = features.shape[0]
    differences = features.unsqueeze(1) - features.unsqueeze(0)
    if not include_self:
        others = ~torch.eye(batch, dtype=torch.bool)
        differences = differences[others].view(batch, max(batch - 1, 0), *features.shape[1:])
    return (torch.exp(-differences.abs().sum(-1)).sum(1),)


def conv2d(x, weight, bias=None, *, stride, padding):
    return (F.conv2d(x, weight, bias, stride, padding),)


def conv_transpose2d(x, weight, bias=None, *, stride, padding, output_padding):
    return (F.conv_transpose2d(x, weight, bias, stride, padding, output_padding),)


def _norm_act(
    y, running_mean=None, running_var=None, bn_weight=None, bn_bias=None, *, training, normalize, activation,
    negative_slope=0.2,
):  # fmt: skip
    if normalize:
        y = F.batch_norm(y, running_mean, running_var, bn_weight, bn_bias, training)
    if activation == "leaky_relu":
        return (F.leaky_relu(y, negative_slope),)
    return (y if activation == "none" else getattr(torch, activation)(y),)


def conv_bn_act(x, weight, bias=None, *, stride, padding, **others):
    return _norm_act(*conv2d(x, weight, bias, stride=stride, padding=padding), **others)


def conv_transpose_bn_act(x, weight, bias=None, *, stride, padding, output_padding, **others):
    y = conv_transpose2d(x, weight, bias, stride=stride, padding=padding, output_padding=output_padding)
    return _norm_act(*y, **others)
