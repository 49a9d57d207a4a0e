"""The public function: checks, autograd, reduction."""

from __future__ import annotations

from torch import Tensor

from deepgen_fast import backends
from deepgen_fast.ops import checks
from deepgen_fast.ops.autograd import apply_function
from deepgen_fast.ops.gaussian_log_likelihood import reference
from deepgen_fast.ops.gaussian_log_likelihood.autograd import GaussianLogLikelihood
from deepgen_fast.ops.memory_format import owned
from deepgen_fast.tracing import symbolic


def gaussian_log_likelihood(
    mean: Tensor,
    target: Tensor,
    *,
    logvar: Tensor | None = None,
    mask: Tensor | None = None,
    reduction: str = "sample",
    backend: str = "auto",
) -> Tensor:
    """Log-likelihood in nats of ``target`` under independent Gaussian pixels N(mean, exp(logvar)).

    Equation 13.18 of the chapter; with ``logvar=None`` the unit-variance decoder of 13.28, with its constant.
    Replaces the eager expression
    ``(-0.5 * (math.log(2 * math.pi) + logvar + (target - mean) ** 2 * torch.exp(-logvar))).flatten(1).sum(1)``
    by one pass forward and one backward, accumulated in float32 whatever the inputs.

    Args:
        mean: ``[batch, *event]``, or ``[samples, batch, *event]``; float16, bfloat16, float32 or float64.
        target: ``[batch, *event]``, repeated over samples; of the mean's dtype, float32, uint8 or bool (taken as the
            numbers they are).
        logvar: log-variance of the mean's dtype: None for unit variance; one element for a learned variance shared
            by all pixels; or broadcastable to ``mean`` (per pixel). Log-variance keeps the variance positive and its
            gradient scaled. Finite input never gives NaN; -inf gives the density's limit: -inf off the mean.
        mask: bool, broadcastable to ``mean``; False elements count nothing and get zero gradient, even where the
            inputs are NaN.
        reduction: ``"sample"`` (default): ``[batch]`` (``[samples, batch]``), summed over the event; ``"none"``: per
            element; ``"sum"``; ``"mean"``: the mean over the batch (and samples) of per-example sums, never over
            pixels.
        backend: ``"auto"``, ``"reference"``, ``"cpu"``, ``"cuda"`` or ``"triton"``.

    Returns:
        float32 (float64 for a float64 mean) tensor of the shape that ``reduction`` says.

    Raises:
        TypeError: an argument is not a tensor or has a dtype not listed above.
        ValueError: shapes or devices do not fit, or an unknown reduction or backend.
        RuntimeError: the backend asked for cannot run here; says why.

    Example:
        >>> gaussian_log_likelihood(torch.zeros(1, 2), torch.zeros(1, 2))
        tensor([-1.8379])
    """
    if symbolic(mean, target, logvar, mask):
        checks.check_reduction(reduction)
        value = reference.gaussian_log_likelihood(mean, target, logvar, mask, reduction == "none")
        return checks.reduce(value, reduction)
    checks.check_floating("mean", mean)
    checks.check_target(target, "mean", mean)
    checks.check_reduction(reduction)
    if logvar is not None:
        logvar = checks.repeat_over_rows("logvar", logvar, "mean", mean, scalar=True)
    if mask is not None:
        mask = checks.check_mask(mask, "mean", mean)
    chosen = backends.choose(backend, mean.device)
    elementwise = reduction == "none"
    rows, order = checks.rows_in_memory_order(mean, target, logvar, mask)
    value = apply_function(GaussianLogLikelihood, *rows, elementwise, chosen)
    if elementwise:
        return value if order is None else owned(value.permute(order))
    return value if reduction == "sample" else checks.reduce(value, reduction)
