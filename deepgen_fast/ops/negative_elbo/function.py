"""The public function: checks, and the choice between the fused pass and the composition of the other operators."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from deepgen_fast import backends
from deepgen_fast.ops import checks
from deepgen_fast.ops.autograd import apply_function, needs_gradient, transforming
from deepgen_fast.ops.bernoulli_log_likelihood import bernoulli_log_likelihood
from deepgen_fast.ops.gaussian_log_likelihood import gaussian_log_likelihood
from deepgen_fast.ops.launchers import launchers
from deepgen_fast.ops.negative_elbo.autograd import FusedNegativeELBO
from deepgen_fast.ops.negative_elbo.reference import BERNOULLI, GAUSSIAN, kl_penalty, kl_per_element, weighted_penalty
from deepgen_fast.ops.reparameterize_kl.posterior import check_posterior, check_prior, given_scale
from deepgen_fast.ops.reparameterize_kl.reference import kl_elements
from deepgen_fast.ops.rows import accumulation_dtype, expand_rows, sum_event
from deepgen_fast.tracing import symbolic

_LIKELIHOODS = {"bernoulli": BERNOULLI, "gaussian": GAUSSIAN}


class NegativeELBO(NamedTuple):
    """The loss with its parts, which come for free with the pass that makes it."""

    loss: Tensor  # differentiable; 0-dim, or [batch] with reduction="sample"
    log_likelihood: Tensor  # [batch], nats, averaged over samples; detached
    kl: Tensor  # [batch], nats, neither multiplied by beta nor raised to free_bits; detached


def negative_elbo(
    decoder_output: Tensor,
    target: Tensor,
    mean: Tensor,
    logvar: Tensor | None = None,
    *,
    std: Tensor | None = None,
    pre_softplus: Tensor | None = None,
    likelihood: str = "bernoulli",
    likelihood_logvar: Tensor | None = None,
    mask: Tensor | None = None,
    prior_mean: Tensor | None = None,
    prior_logvar: Tensor | None = None,
    beta: float | Tensor = 1.0,
    free_bits: float = 0.0,
    reduction: str = "mean",
    return_parts: bool = False,
    backend: str = "auto",
) -> Tensor | NegativeELBO:
    """The VAE loss ``beta * KL - log p(x|z)``, its value and all its gradients in one pass.

    Equation 13.21 of the chapter with its sign changed, the expectation over z by the M samples that
    ``decoder_output`` holds (13.22 to 13.24). Replaces the eager expression
    ``(F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    - 0.5 * beta * (1 + logvar - mean.pow(2) - logvar.exp()).sum(1)).mean()`` and its backward: the forward writes the
    gradients of the logits, mean and logvar while the pixels are in registers, and the backward hands them out. So
    each pixel is read once.

    Args:
        decoder_output: logits (Bernoulli) or means (Gaussian), ``[batch, *event]`` or ``[samples, batch, *event]``.
        target: ``[batch, *event]``; dtypes as in ``bernoulli_log_likelihood``.
        mean, logvar, std, pre_softplus: the posterior q(z|x) ``[batch, *latent]``, as in ``reparameterize_kl``, which
            makes the z that was decoded.
        likelihood: ``"bernoulli"`` (default) or ``"gaussian"``.
        likelihood_logvar: log-variance of the Gaussian likelihood, as in ``gaussian_log_likelihood``; None: unit.
        mask: bool, broadcastable to ``decoder_output``; False pixels count nothing.
        prior_mean, prior_logvar: the prior p(z), broadcastable to ``mean``; default N(0, 1).
        beta: weight of the KL (Higgins et al. 2017). 1 is the ELBO; KL warm-up raises it from 0, and with 0 the loss is
            the likelihood alone, even where the KL has overflowed. A number, or a tensor of one element, which may
            require a gradient.
        free_bits: nats per latent dimension that cost nothing: each dimension's KL, averaged over the batch, counts
            at least this much (Kingma et al. 2016, equation 15). A dimension below it gets no gradient of the KL; one
            at it does, as ``torch.clamp`` has it. 0: none.
        reduction: ``"mean"`` (default) or ``"sum"`` over the batch of per-example losses; ``"sample"``: ``[batch]``.
            Never a mean over pixels, which would reweigh KL against reconstruction.
        return_parts: also return the per-example log-likelihood and KL, detached, for monitoring.
        backend: ``"auto"``, ``"reference"``, ``"cpu"``, ``"cuda"`` or ``"triton"``.

    Returns:
        The loss in nats, float32 (float64 where decoder_output or mean is); with ``return_parts`` a
        :class:`NegativeELBO`. Of no examples the sum is 0 and the mean NaN.

    Raises:
        TypeError, ValueError, RuntimeError: as the operators it is made of; also for a ``beta`` or ``free_bits`` that
            is not a finite number, for negative ``free_bits`` or ones that require a gradient, for
            ``likelihood_logvar`` with a Bernoulli likelihood, and for free bits with ``reduction="sample"`` (they are
            defined over a batch).
    """
    checks.check_flag("return_parts", return_parts)
    if symbolic(decoder_output, target, mean, logvar, std, pre_softplus, likelihood_logvar, mask):
        _, scale, scale_kind = given_scale(logvar, std, pre_softplus)
        parts = _composed(
            decoder_output, target, likelihood_logvar, mask, mean, scale, prior_mean, prior_logvar, float(beta),
            float(free_bits), _LIKELIHOODS[likelihood], scale_kind, reduction, "reference",
        )  # fmt: skip
        return parts if return_parts else parts.loss
    checks.check_floating("decoder_output", decoder_output)
    checks.check_target(target, "decoder_output", decoder_output)
    mean, scale, scale_kind = check_posterior(mean, logvar, std, pre_softplus)
    beta, free_bits = _check_beta(beta, mean), _check_free_bits(free_bits, reduction)
    _check_options(target, mean, likelihood, likelihood_logvar, reduction)
    if mask is not None:
        mask = checks.check_mask(mask, "decoder_output", decoder_output)
    if likelihood_logvar is not None:
        likelihood_logvar = checks.repeat_over_rows(
            "likelihood_logvar", likelihood_logvar, "decoder_output", decoder_output, scalar=True
        )
    if prior_mean is not None or prior_logvar is not None:
        prior_mean, prior_logvar = check_prior(mean, prior_mean, prior_logvar)
    chosen = backends.choose(backend, decoder_output.device)

    (decoder_output, target, likelihood_logvar, mask), _ = checks.rows_in_memory_order(  # type: ignore[assignment]
        decoder_output, target, likelihood_logvar, mask
    )

    # The fused pass makes the gradients of what a VAE trains; a trained target, prior or beta, a loss per example, two
    # accumulation dtypes and the torch.func transforms go through the operators it is made of.
    fused = (
        reduction != "sample"
        and chosen != "reference"
        and not isinstance(beta, Tensor)
        and accumulation_dtype(decoder_output.dtype) == accumulation_dtype(mean.dtype)
        and not needs_gradient(target, prior_mean, prior_logvar)
        and not transforming()
    )
    if not fused:
        parts = _composed(
            decoder_output, target, likelihood_logvar, mask, mean, scale, prior_mean, prior_logvar, beta, free_bits,
            _LIKELIHOODS[likelihood], scale_kind, reduction, chosen,
        )  # fmt: skip
        return parts if return_parts else parts.loss
    inputs = (
        decoder_output, target, likelihood_logvar, mask, mean, scale, prior_mean, prior_logvar, beta, free_bits,
        _LIKELIHOODS[likelihood], scale_kind, reduction == "mean",
    )  # fmt: skip
    if needs_gradient(decoder_output, likelihood_logvar, mean, scale):
        made = apply_function(FusedNegativeELBO, *inputs, return_parts, chosen)
        return NegativeELBO(*made) if return_parts else made
    parts = NegativeELBO(*launchers("negative_elbo", chosen).negative_elbo(*inputs, False, None)[:3])
    return parts if return_parts else parts.loss


def _check_beta(beta: float | Tensor, mean: Tensor) -> float | Tensor:
    """A float; a tensor only where its number is not to be taken out: it requires a gradient, or is traced."""
    if isinstance(beta, Tensor):
        checks.check_tensor("beta", beta)
        if beta.numel() != 1:
            raise ValueError(f"beta must be a number or a tensor of one element, got shape {list(beta.shape)}")
        if not beta.is_floating_point():
            raise TypeError(f"beta must be a number or a floating tensor, got {beta.dtype}")
        if needs_gradient(beta) or transforming() or torch.compiler.is_compiling():
            return beta.to(mean.device).reshape(())
        beta = beta.item()
    return _check_number("beta", beta)


def _check_free_bits(free_bits: float, reduction: str) -> float:
    if isinstance(free_bits, Tensor) and free_bits.requires_grad:
        raise TypeError("free_bits must be a number: it gets no gradient; pass free_bits.item(), got a tensor with one")
    number = _check_number("free_bits", free_bits)
    if number < 0.0:
        raise ValueError(f"free_bits must not be negative, got {free_bits}")
    if number > 0.0 and reduction == "sample":
        raise ValueError("free_bits needs reduction='mean' or 'sum': it bounds the batch's mean KL, got 'sample'")
    return number


def _check_number(name: str, value: float) -> float:
    if not isinstance(value, (int, float)) and not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    number = float(value)
    if not -math.inf < number < math.inf:
        raise ValueError(f"{name} must be finite, got {value}")
    return number


def _check_options(
    target: Tensor, mean: Tensor, likelihood: str, likelihood_logvar: Tensor | None, reduction: str
) -> None:
    if likelihood not in _LIKELIHOODS:
        raise ValueError(f"likelihood must be 'bernoulli' or 'gaussian', got {likelihood!r}")
    if likelihood == "bernoulli" and likelihood_logvar is not None:
        raise ValueError("likelihood_logvar must be None with likelihood='bernoulli', which has no variance")
    if reduction not in ("mean", "sum", "sample"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'sample', got {reduction!r}")
    if target.shape[0] != mean.shape[0]:
        raise ValueError(f"mean must have the batch size of target, {target.shape[0]}, got shape {list(mean.shape)}")
    checks.check_device("mean", mean, "target", target)


def _composed(
    decoder_output: Tensor,
    target: Tensor,
    likelihood_logvar: Tensor | None,
    mask: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    beta: float | Tensor,
    free_bits: float,
    likelihood: int,
    scale_kind: int,
    reduction: str,
    backend: str,
) -> NegativeELBO:
    """The same loss from the operators it is made of: every transform and gradient works."""
    if likelihood == BERNOULLI:
        log_likelihood = bernoulli_log_likelihood(decoder_output, target, mask=mask, backend=backend)
    else:
        log_likelihood = gaussian_log_likelihood(
            decoder_output, target, logvar=likelihood_logvar, mask=mask, backend=backend
        )
    if symbolic(log_likelihood):
        log_likelihood = log_likelihood.reshape(-1, mean.shape[0]).mean(0)
    elif log_likelihood.dim() == 2:
        log_likelihood = log_likelihood.mean(0)
    if symbolic(mean):
        dtype = accumulation_dtype(mean.dtype)
        prior_mean, prior_logvar = (
            None if prior is None else expand_rows(prior.to(dtype), mean.shape) for prior in (prior_mean, prior_logvar)
        )
        kl = kl_elements(mean.to(dtype), scale.to(dtype), prior_mean, prior_logvar, scale_kind)
    else:
        kl = kl_per_element(mean, scale, prior_mean, prior_logvar, scale_kind, backend)
    kl_per_example = sum_event(kl, 1)
    if reduction == "sample":
        loss = weighted_penalty(beta, kl_per_example) - log_likelihood
    else:
        mean_reduction = reduction == "mean"
        reconstruction = log_likelihood.mean() if mean_reduction else log_likelihood.sum()
        loss = weighted_penalty(beta, kl_penalty(kl, free_bits, mean_reduction)) - reconstruction
    return NegativeELBO(loss, log_likelihood.detach(), kl_per_example.detach())
