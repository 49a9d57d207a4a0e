"""Triton launchers of gaussian_log_likelihood, with the signatures of the native ops."""

from __future__ import annotations

from torch import Tensor

from deepgen_fast.ops.gaussian_log_likelihood.triton_math import gaussian_terms
from deepgen_fast.ops.triton_compile import traceable
from deepgen_fast.ops.triton_likelihood import GRADIENT_PER_ELEMENT, GRADIENT_PER_ROW, Likelihood, run_likelihood


@traceable(
    "gaussian_log_likelihood(Tensor mean, Tensor target, Tensor? logvar, Tensor? mask, bool elementwise) -> Tensor"
)
def gaussian_log_likelihood(
    mean: Tensor, target: Tensor, logvar: Tensor | None, mask: Tensor | None, elementwise: bool
) -> Tensor:
    """Values [(samples,) batch], or per element, in the accumulation dtype."""
    likelihood = Likelihood(gaussian_terms, mean, target, logvar, mask)
    return run_likelihood(likelihood, value=True, elementwise=elementwise).value


@traceable(
    "gaussian_log_likelihood_backward(Tensor grad, Tensor mean, Tensor target, Tensor? logvar, Tensor? mask, "
    "bool elementwise, bool need_mean, bool need_target, bool need_logvar) -> (Tensor, Tensor, Tensor)"
)
def gaussian_log_likelihood_backward(
    grad: Tensor,
    mean: Tensor,
    target: Tensor,
    logvar: Tensor | None,
    mask: Tensor | None,
    elementwise: bool,
    need_mean: bool,
    need_target: bool,
    need_logvar: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """(grad_mean, grad_target, grad_logvar): of the mean's shape, of no elements where not needed;
    grad_logvar is one value per row for a logvar of one element."""
    likelihood = Likelihood(gaussian_terms, mean, target, logvar, mask)
    grad_kind = (GRADIENT_PER_ELEMENT if elementwise else GRADIENT_PER_ROW).value
    _, grad_mean, grad_target, grad_logvar = run_likelihood(
        likelihood,
        grad=grad,
        grad_kind=grad_kind,
        need_output=need_mean,
        need_target=need_target,
        need_logvar=need_logvar,
    )
    return grad_mean, grad_target, grad_logvar
