"""Checks of the posterior's and prior's arguments, shared with negative_elbo."""

from __future__ import annotations

from torch import Tensor

from deepgen_fast.ops import checks
from deepgen_fast.ops.reparameterize_kl.reference import LOGVAR, PRE_SOFTPLUS, STD


def check_posterior(
    mean: Tensor, logvar: Tensor | None, std: Tensor | None, pre_softplus: Tensor | None
) -> tuple[Tensor, Tensor, int]:
    """``(mean, scale, scale_kind)`` of one dtype and shape, from exactly one of the three forms of the scale."""
    checks.check_floating("mean", mean)
    name, scale, kind = given_scale(logvar, std, pre_softplus)
    checks.check_floating(name, scale)
    if mean.dtype != scale.dtype:
        mean, scale = checks.promote_under_autocast("mean", mean, name, scale)
    checks.check_device(name, scale, "mean", mean)
    if scale.shape != mean.shape:
        scale = checks.repeat_shape(name, scale, "mean", mean).expand(mean.shape)
    return mean, scale, kind


def given_scale(logvar: Tensor | None, std: Tensor | None, pre_softplus: Tensor | None) -> tuple[str, Tensor, int]:
    if std is None and pre_softplus is None and logvar is not None:
        return "logvar", logvar, LOGVAR
    forms = (("logvar", logvar, LOGVAR), ("std", std, STD), ("pre_softplus", pre_softplus, PRE_SOFTPLUS))
    given = [(name, scale, kind) for name, scale, kind in forms if scale is not None]
    if len(given) != 1:
        names = " and ".join(name for name, _, _ in given) or "none of them"
        raise ValueError(f"exactly one of logvar, std and pre_softplus must be given, got {names}")
    return given[0]


def check_prior(
    mean: Tensor, prior_mean: Tensor | None, prior_logvar: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """The prior's tensors in a form that kernels walk; None stands for 0."""
    if prior_mean is not None:
        prior_mean = checks.repeat_over_rows("prior_mean", prior_mean, "mean", mean)
    if prior_logvar is not None:
        prior_logvar = checks.repeat_over_rows("prior_logvar", prior_logvar, "mean", mean)
    return prior_mean, prior_logvar
