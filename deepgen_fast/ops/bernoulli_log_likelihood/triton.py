"""Triton launchers of bernoulli_log_likelihood, with the signatures of the native ops."""

from __future__ import annotations

from torch import Tensor

from deepgen_fast.ops.bernoulli_log_likelihood.triton_math import bernoulli_terms
from deepgen_fast.ops.triton_compile import traceable
from deepgen_fast.ops.triton_likelihood import GRADIENT_PER_ELEMENT, GRADIENT_PER_ROW, Likelihood, run_likelihood


@traceable("bernoulli_log_likelihood(Tensor logits, Tensor target, Tensor? mask, bool elementwise) -> Tensor")
def bernoulli_log_likelihood(logits: Tensor, target: Tensor, mask: Tensor | None, elementwise: bool) -> Tensor:
    """Values [(samples,) batch], or per element, in the accumulation dtype."""
    likelihood = Likelihood(bernoulli_terms, logits, target, None, mask)
    return run_likelihood(likelihood, value=True, elementwise=elementwise).value


@traceable(
    "bernoulli_log_likelihood_backward(Tensor grad, Tensor logits, Tensor target, Tensor? mask, "
    "bool elementwise, bool need_logits, bool need_target) -> (Tensor, Tensor)"
)
def bernoulli_log_likelihood_backward(
    grad: Tensor,
    logits: Tensor,
    target: Tensor,
    mask: Tensor | None,
    elementwise: bool,
    need_logits: bool,
    need_target: bool,
) -> tuple[Tensor, Tensor]:
    """(grad_logits, grad_target), each of the logits' shape, or of no elements where not needed."""
    likelihood = Likelihood(bernoulli_terms, logits, target, None, mask)
    grad_kind = (GRADIENT_PER_ELEMENT if elementwise else GRADIENT_PER_ROW).value
    _, grad_logits, grad_target, _ = run_likelihood(
        likelihood, grad=grad, grad_kind=grad_kind, need_output=need_logits, need_target=need_target
    )
    return grad_logits, grad_target
