"""The analysis of section 13.3.4 as code: optimal discriminator, minimax value, Jensen-Shannon divergence."""

from deepgen_fast.analysis.figure import DiscriminatorTrace, draw_discriminator_trace
from deepgen_fast.analysis.optimal_discriminator import (
    Estimate,
    js_from_minimax_value,
    minimax_value,
    minimax_value_at_optimum,
    optimal_discriminator,
    optimal_logit,
)
from deepgen_fast.analysis.quadrature import exact_minimax_value, js_divergence
from deepgen_fast.analysis.trained_discriminator import JSEstimate, estimate_js_divergence, mlp_discriminator

__all__ = [
    "DiscriminatorTrace",
    "Estimate",
    "JSEstimate",
    "draw_discriminator_trace",
    "estimate_js_divergence",
    "exact_minimax_value",
    "js_divergence",
    "js_from_minimax_value",
    "minimax_value",
    "minimax_value_at_optimum",
    "mlp_discriminator",
    "optimal_discriminator",
    "optimal_logit",
]
