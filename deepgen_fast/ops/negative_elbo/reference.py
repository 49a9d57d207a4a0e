"""Plain-torch specification of negative_elbo: the value, and the same gradients that the fused pass computes."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.bernoulli_log_likelihood import reference as bernoulli
from deepgen_fast.ops.gaussian_log_likelihood import reference as gaussian
from deepgen_fast.ops.reparameterize_kl import reference as posterior
from deepgen_fast.ops.rows import accumulation_dtype, expand_rows, sum_event

BERNOULLI, GAUSSIAN = 0, 1


def kl_penalty(kl: Tensor, free_bits: float, mean_reduction: bool) -> Tensor:
    """Reduce a per-element KL [batch, *event] to the loss's KL term.

    With free bits, each latent dimension's KL, averaged over the batch, counts at least ``free_bits`` nats
    (Kingma et al. 2016, "Improved variational inference with inverse autoregressive flow", equation 15).
    """
    batch = kl.shape[0]
    if free_bits > 0.0:
        total = kl.mean(0).clamp(min=free_bits).sum()
        return total if mean_reduction else total * batch
    return kl.sum() / batch if mean_reduction else kl.sum()


def negative_elbo_value(
    decoder_output: Tensor,
    target: Tensor,
    likelihood_logvar: Tensor | None,
    mask: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    beta: float,
    free_bits: float,
    likelihood: int,
    scale_kind: int,
    mean_reduction: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, log_likelihood [batch], kl [batch]): differentiable, the expression that the fused pass replaces."""
    if likelihood == BERNOULLI:
        log_likelihood = bernoulli.bernoulli_log_likelihood(decoder_output, target, mask, False)
    else:
        log_likelihood = gaussian.gaussian_log_likelihood(decoder_output, target, likelihood_logvar, mask, False)
    if log_likelihood.dim() == 2:
        log_likelihood = log_likelihood.mean(0)
    dtype = accumulation_dtype(mean.dtype)
    prior_mean, prior_logvar = (
        None if prior is None else expand_rows(prior.to(dtype), mean.shape) for prior in (prior_mean, prior_logvar)
    )
    kl = posterior.kl_elements(mean.to(dtype), scale.to(dtype), prior_mean, prior_logvar, scale_kind)
    reconstruction = log_likelihood.mean() if mean_reduction else log_likelihood.sum()
    loss = beta * kl_penalty(kl, free_bits, mean_reduction) - reconstruction
    return loss, log_likelihood, sum_event(kl, 1)


def negative_elbo(
    decoder_output: Tensor,
    target: Tensor,
    likelihood_logvar: Tensor | None,
    mask: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    beta: float,
    free_bits: float,
    likelihood: int,
    scale_kind: int,
    mean_reduction: bool,
    need_gradients: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The launcher's contract, by autograd on :func:`negative_elbo_value`: value, parts, and all the gradients."""
    inputs = [t.detach() for t in (decoder_output, mean, scale)]
    logvar = None if likelihood_logvar is None else likelihood_logvar.detach()
    if need_gradients:
        inputs = [t.requires_grad_() for t in inputs]
        logvar = None if logvar is None else logvar.requires_grad_()
    with torch.set_grad_enabled(need_gradients):
        output, mean, scale = inputs
        loss, log_likelihood, kl = negative_elbo_value(
            output, target, logvar, mask, mean, scale, prior_mean, prior_logvar, beta, free_bits, likelihood,
            scale_kind, mean_reduction,
        )  # fmt: skip
    empty = mean.new_empty(0)
    grads = [empty, empty, empty]
    grad_logvar = empty
    if need_gradients:
        sources = inputs if logvar is None else [*inputs, logvar]
        found = torch.autograd.grad(loss, sources)
        grads = list(found[:3])
        grad_logvar = empty if logvar is None else found[3]
    return loss.detach(), log_likelihood.detach(), kl.detach(), grads[0], grad_logvar, grads[1], grads[2]
