"""Plain-torch specification of negative_elbo: the value, and the same gradients that the fused pass computes."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function
from deepgen_fast.ops.bernoulli_log_likelihood.autograd import BernoulliLogLikelihood
from deepgen_fast.ops.gaussian_log_likelihood.autograd import GaussianLogLikelihood
from deepgen_fast.ops.reparameterize_kl.autograd import ReparameterizeKL
from deepgen_fast.ops.rows import sum_event
from deepgen_fast.tracing import symbolic

BERNOULLI, GAUSSIAN = 0, 1


def log_likelihood_per_row(
    decoder_output: Tensor,
    target: Tensor,
    likelihood_logvar: Tensor | None,
    mask: Tensor | None,
    likelihood: int,
    backend: str,
) -> Tensor:
    """log p(x|z) [(samples,) batch], differentiable."""
    if likelihood == BERNOULLI:
        return apply_function(BernoulliLogLikelihood, decoder_output, target, mask, False, backend)
    return apply_function(GaussianLogLikelihood, decoder_output, target, likelihood_logvar, mask, False, backend)


def kl_per_element(
    mean: Tensor, scale: Tensor, prior_mean: Tensor | None, prior_logvar: Tensor | None, scale_kind: int, backend: str
) -> Tensor:
    """KL(q(z|x) || p(z)) [batch, *event], differentiable: that of reparameterize_kl, whose z nobody takes."""
    noise, options = torch.zeros_like(mean), (None, None, scale_kind, True, backend)
    return apply_function(ReparameterizeKL, mean, scale, prior_mean, prior_logvar, noise, *options)[1]


def kl_penalty(kl: Tensor, free_bits: float, mean_reduction: bool) -> Tensor:
    """Reduce a per-element KL [batch, *event] to the loss's KL term.

    With free bits, each latent dimension's KL, averaged over the batch, counts at least ``free_bits`` nats
    (Kingma et al. 2016, "Improved variational inference with inverse autoregressive flow", equation 15). At that number
    itself the gradient flows, as ``torch.clamp`` has it.
    """
    batch = kl.shape[0]
    if free_bits > 0.0 and (mean_reduction or symbolic(batch) or batch > 0):
        total = kl.mean(0).clamp(min=free_bits).sum()
        return total if mean_reduction else total * batch
    return kl.sum() / batch if mean_reduction else kl.sum()


def weighted_penalty(beta: float | Tensor, penalty: Tensor) -> Tensor:
    """beta times the KL term. Without a weight the KL is left out, whatever it is: it may have overflowed."""
    if not isinstance(beta, Tensor) and beta == 0.0:  # a zero that autograd still traces to the posterior
        return torch.where(torch.zeros_like(penalty, dtype=torch.bool), penalty, 0.0)
    return beta * penalty


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
    log_likelihood = log_likelihood_per_row(decoder_output, target, likelihood_logvar, mask, likelihood, "reference")
    if log_likelihood.dim() == 2:
        log_likelihood = log_likelihood.mean(0)
    kl = kl_per_element(mean, scale, prior_mean, prior_logvar, scale_kind, "reference")
    reconstruction = log_likelihood.mean() if mean_reduction else log_likelihood.sum()
    loss = weighted_penalty(beta, kl_penalty(kl, free_bits, mean_reduction)) - reconstruction
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
    grad_loss: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The launcher's contract, by autograd on :func:`negative_elbo_value`: value, parts, and all the gradients.

    ``grad_loss`` is the incoming gradient, [] of the loss's dtype (None: 1): gradients are rounded to their tensor's
    dtype after it has been applied.
    """
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
        found = torch.autograd.grad(loss, sources, grad_loss)
        grads = list(found[:3])
        grad_logvar = empty if logvar is None else found[3]
    return loss.detach(), log_likelihood.detach(), kl.detach(), grads[0], grad_logvar, grads[1], grads[2]
