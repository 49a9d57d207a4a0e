"""The public function: checks, noise, autograd, reduction."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast import backends
from deepgen_fast.ops import checks
from deepgen_fast.ops.autograd import apply_function, transforming
from deepgen_fast.ops.reparameterize_kl import reference
from deepgen_fast.ops.reparameterize_kl.autograd import ReparameterizeKL
from deepgen_fast.ops.reparameterize_kl.posterior import check_posterior, check_prior, given_scale
from deepgen_fast.random import draw_seed, recorded_noise, seeded_noise
from deepgen_fast.tracing import exporting, symbolic


def reparameterize_kl(
    mean: Tensor,
    logvar: Tensor | None = None,
    *,
    std: Tensor | None = None,
    pre_softplus: Tensor | None = None,
    num_samples: int | None = None,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
    prior_mean: Tensor | None = None,
    prior_logvar: Tensor | None = None,
    reduction: str = "sample",
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Sample ``z = mean + sigma * noise`` and evaluate KL(N(mean, sigma^2) || prior), in one pass.

    Equations 13.27 (Kingma and Welling 2014) and 13.25, 13.26 of the chapter. Replaces the eager expression
    ``z = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)`` and
    ``kl = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp(), dim=1)``.

    The noise is generated in registers (Philox4x32-10) from a seed that torch's generator gives: the noise of an
    example depends on the seed, its index in the batch, its column and the sample alone, not on backend, instruction
    set, thread count, batch size or ``num_samples``. It is never stored; the backward makes it again. A program that
    torch.export, torch.onnx, torch.jit.trace or torch.fx records has ``torch.randn_like`` in its place, and plain torch
    operators, as it may run without this library.

    Args:
        mean: ``[batch, *event]``; float16, bfloat16, float32 or float64.
        logvar: log sigma^2, the default form: unconstrained, and exact where sigma is tiny. In its place, exactly one
            of ``std`` (sigma itself, positive) or ``pre_softplus`` (sigma = softplus(pre_softplus), equation 13.10).
            Of the mean's dtype (promoted under autocast), broadcastable to its shape.
        std: see ``logvar``.
        pre_softplus: see ``logvar``.
        num_samples: M samples an example (13.22): ``z`` gets a leading dimension. None (default): one, without it.
        noise: standard normal noise of z's shape and the mean's dtype, in place of generated noise.
        generator: the seed is drawn from it; default: torch's generator of the device, which ``torch.manual_seed``
            sets.
        prior_mean, prior_logvar: the prior, broadcastable to ``mean``; default 0: N(0, 1).
        reduction: of the KL, in nats: ``"sample"`` (default) ``[batch]``; ``"none"`` per element; ``"sum"``;
            ``"mean"`` over the batch of per-example sums.
        backend: ``"auto"``, ``"reference"``, ``"cpu"``, ``"cuda"`` or ``"triton"``.

    Returns:
        ``(z, kl)``: z ``[batch, *event]`` or ``[num_samples, batch, *event]`` in the mean's dtype; kl in float32
        (float64 for a float64 mean).

    Raises:
        TypeError: an argument is not a tensor, or its dtype is not listed above or does not match.
        ValueError: shapes or devices do not fit, not exactly one form of the scale, ``num_samples`` below 1, both
            ``noise`` and ``generator``, or an unknown reduction or backend.
        RuntimeError: the backend asked for cannot run here; says why.

    Example:
        >>> z, kl = reparameterize_kl(torch.zeros(2, 3), torch.zeros(2, 3))
        >>> z.shape, kl
        (torch.Size([2, 3]), tensor([0., 0.]))
    """
    checks.check_reduction(reduction)
    if symbolic(mean, logvar, std, pre_softplus, noise, prior_mean, prior_logvar):
        _, scale, scale_kind = given_scale(logvar, std, pre_softplus)
        noise = recorded_noise(mean, num_samples, generator) if noise is None else noise
        z, kl = reference.reparameterize_kl(
            mean, scale, prior_mean, prior_logvar, noise, None, num_samples, scale_kind, reduction == "none"
        )
        return z, checks.reduce(kl, reduction)
    mean, scale, scale_kind = check_posterior(mean, logvar, std, pre_softplus)
    if prior_mean is not None or prior_logvar is not None:
        prior_mean, prior_logvar = check_prior(mean, prior_mean, prior_logvar)
    if num_samples is not None:
        _check_num_samples(num_samples)
    chosen = backends.choose(backend, mean.device)
    seed = None
    if noise is not None:
        noise = _check_noise(noise, generator, mean, num_samples)
    elif exporting():
        noise = recorded_noise(mean, num_samples, generator)
    elif transforming():
        noise = seeded_noise(mean, num_samples, generator)
    else:
        seed = draw_seed(mean.device, generator)
    z, kl = apply_function(
        ReparameterizeKL, mean, scale, prior_mean, prior_logvar, noise, seed, num_samples, scale_kind,
        reduction == "none", chosen,
    )  # fmt: skip
    return z, kl if reduction == "sample" else checks.reduce(kl, reduction)


def _check_num_samples(num_samples: int) -> None:
    if isinstance(num_samples, bool) or not isinstance(num_samples, (int, torch.SymInt)):
        raise TypeError(f"num_samples must be an int or None, got {type(num_samples).__name__}")
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")


def _check_noise(noise: Tensor, generator: torch.Generator | None, mean: Tensor, num_samples: int | None) -> Tensor:
    if generator is not None:
        raise ValueError("generator must be None where noise is given: nothing is drawn")
    checks.check_floating("noise", noise)
    noise, _ = checks.promote_under_autocast("noise", noise, "mean", mean)
    noise = noise.to(mean.dtype)
    checks.check_device("noise", noise, "mean", mean)
    expected = mean.shape if num_samples is None else (num_samples, *mean.shape)
    if noise.shape != torch.Size(expected):
        raise ValueError(f"noise must have the shape of z, {list(expected)}, got {list(noise.shape)}")
    return noise
