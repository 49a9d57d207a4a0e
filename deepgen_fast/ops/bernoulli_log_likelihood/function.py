"""The public function: checks, autograd, reduction."""

from __future__ import annotations

from torch import Tensor

from deepgen_fast import backends
from deepgen_fast.ops import checks
from deepgen_fast.ops.autograd import apply_function
from deepgen_fast.ops.bernoulli_log_likelihood import reference
from deepgen_fast.ops.bernoulli_log_likelihood.autograd import BernoulliLogLikelihood
from deepgen_fast.ops.memory_format import owned
from deepgen_fast.tracing import symbolic


def bernoulli_log_likelihood(
    logits: Tensor, target: Tensor, *, mask: Tensor | None = None, reduction: str = "sample", backend: str = "auto"
) -> Tensor:
    """Log-likelihood in nats of ``target`` under independent Bernoulli pixels given by their logits.

    Equations 13.16 and 13.17 of the chapter. Replaces the eager expression
    ``-F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).sum(1)``
    by one pass forward and one backward, accumulated in float32 whatever the inputs.

    Args:
        logits: ``[batch, *event]``, or ``[samples, batch, *event]``; float16, bfloat16, float32 or float64.
        target: ``[batch, *event]``, repeated over samples. Probabilities in [0, 1] of the logits' dtype or float32,
            or 0/1 as uint8 or bool (bytes 0..255 are not rescaled: divide by 255 first).
        mask: bool, broadcastable to ``logits``; False elements count nothing and get zero gradient, even where
            logits or target are NaN.
        reduction: ``"sample"`` (default): ``[batch]`` (``[samples, batch]``), summed over the event, as an ELBO needs
            it; ``"none"``: per element; ``"sum"``: one number; ``"mean"``: the mean over the batch (and samples) of
            the per-example sums, never over pixels, which would silently reweigh the KL against it.
        backend: ``"auto"``, ``"reference"``, ``"cpu"``, ``"cuda"`` or ``"triton"``.

    Returns:
        float32 (float64 for float64 logits) tensor of the shape that ``reduction`` says.

    Raises:
        TypeError: an argument is not a tensor or has a dtype not listed above.
        ValueError: shapes or devices do not fit, or an unknown reduction or backend.
        RuntimeError: the backend asked for cannot run here; says why.

    Example:
        >>> bernoulli_log_likelihood(torch.zeros(2, 784), torch.ones(2, 784))
        tensor([-543.4274, -543.4274])
    """
    if symbolic(logits, target, mask):
        checks.check_reduction(reduction)
        value = reference.bernoulli_log_likelihood(logits, target, mask, reduction == "none")
        return checks.reduce(value, reduction)
    checks.check_floating("logits", logits)
    checks.check_target(target, "logits", logits)
    checks.check_reduction(reduction)
    if mask is not None:
        mask = checks.check_mask(mask, "logits", logits)
    chosen = backends.choose(backend, logits.device)
    elementwise = reduction == "none"
    rows, order = checks.rows_in_memory_order(logits, target, mask)
    value = apply_function(BernoulliLogLikelihood, *rows, elementwise, chosen)
    if elementwise:
        return value if order is None else owned(value.permute(order))
    return value if reduction == "sample" else checks.reduce(value, reduction)
