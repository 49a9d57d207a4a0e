// Reparameterization z = mean + sigma * noise (13.27) and the KL divergence of two diagonal Gaussians (13.25, 13.26).
#pragma once

#include "math/activation.h"
#include "math/weighted.h"

namespace dgf {

enum ScaleKind { kLogVariance = 0, kStandardDeviation = 1, kPreSoftplus = 2 };

// What one element of the scale tensor gives; kind is a compile-time choice.
template <class V>
struct Scale {
  V std, variance, logvar;
};

template <class V>
DGF_HOST_DEVICE V softplus(V x) {
  return positive_part(x) + log1p_unit(exp(-absolute(x)));
}

// log softplus(x): far below 0, where softplus(x) is e^x and in the end 0, x - e^x / 2; finite for every finite x.
template <class V>
DGF_HOST_DEVICE V log_softplus(V x, V softplus_x) {
  return select(x < V(-20.0f), fma(softplus_x, V(-0.5f), x), log(softplus_x));
}

template <int kind, class V>
DGF_HOST_DEVICE V standard_deviation(V scale) {
  if constexpr (kind == kLogVariance) return exp(scale * V(0.5f));
  if constexpr (kind == kPreSoftplus) return softplus(scale);
  return scale;
}

template <int kind, class V>
DGF_HOST_DEVICE Scale<V> expand_scale(V scale) {
  const V std = standard_deviation<kind>(scale);
  if constexpr (kind == kLogVariance) return {std, exp(scale), scale};
  if constexpr (kind == kPreSoftplus) return {std, std * std, log_softplus(scale, std) * V(2.0f)};
  return {std, std * std, log(std) * V(2.0f)};
}

// mean + std * noise; a zero draw stays at the mean even where std overflowed (finite input never gives NaN).
template <class V>
DGF_HOST_DEVICE V reparameterize(V mean, V std, V scale, V noise) {
  const V infinity(std::numeric_limits<float>::infinity());
  const auto zero_draw = both(noise == V(0), scale < infinity);
  return fma(select(zero_draw, V(0), std), noise, mean);
}

// KL against N(0, 1): (sigma^2 - 1 - log sigma^2 + mean^2) / 2; infinite with sigma, no inf - inf.
template <class V>
DGF_HOST_DEVICE V kl_standard(V mean, const Scale<V>& q) {
  return fma(mean, mean, q.variance - V(1) - below_infinity(q.logvar)) * V(0.5f);
}

// 1 / prior variance in factors, so that a product with it overflows or vanishes only where that is the truth.
template <class V>
DGF_HOST_DEVICE Factors<V> prior_precision(V prior_logvar) {
  return exp_factors(-prior_logvar);
}

// sigma^2 / prior variance, finite wherever it is so itself: 1 for q against itself, whatever its variance.
template <int kind, class V>
DGF_HOST_DEVICE V variance_ratio(V std, V logvar, V prior_logvar, Factors<V> precision) {
  if constexpr (kind == kLogVariance) {
    // The exponential of the difference, which rounds: what it loses (Knuth's sum of two) comes back as a factor.
    const V difference = logvar - prior_logvar, back = difference - logvar;
    const V lost = (logvar - (difference - back)) - (prior_logvar + back);
    const auto in_range = absolute(difference) < V(1024);  // past which the exponential is 0 or infinite
    return exp(difference) * (V(1) + select(in_range, lost, V(0)));
  } else {
    return (std * precision.one) * (std * precision.two);
  }
}

// KL against N(prior_mean, exp(prior_logvar)): (ratio - 1 - log ratio + (mean - prior_mean)^2 / prior variance) / 2.
template <int kind, class V>
DGF_HOST_DEVICE V kl_prior(V mean, const Scale<V>& q, V prior_mean, V prior_logvar) {
  const Factors<V> precision = prior_precision(prior_logvar);
  const V offset = mean - prior_mean, difference = q.logvar - prior_logvar;
  // Where the difference of finite logarithms overflows, so did the ratio: no inf - inf.
  const V log_ratio = select(difference < V(std::numeric_limits<float>::infinity()), difference, V(0));
  const V ratio = variance_ratio<kind>(q.std, q.logvar, prior_logvar, precision);
  return fma(offset * precision.one, offset * precision.two, (ratio - V(1)) - log_ratio) * V(0.5f);
}

// d KL / d mean; d KL / d prior_mean is its negative.
template <class V>
DGF_HOST_DEVICE V kl_mean_slope(V offset, Factors<V> precision) {
  return offset * precision.one * precision.two;
}

// d std / d scale.
template <int kind, class V>
DGF_HOST_DEVICE V std_slope(V scale) {
  if constexpr (kind == kLogVariance) return exp_finite(scale * V(0.5f)) * V(0.5f);
  if constexpr (kind == kPreSoftplus) return sigmoid(scale);
  return V(1);
}

// d KL / d scale against a prior of that log-variance and precision (0 and 1 for the standard normal).
template <int kind, class V>
DGF_HOST_DEVICE V kl_scale_slope(V scale, V prior_logvar, Factors<V> precision) {
  if constexpr (kind == kLogVariance)
    return (variance_ratio<kind>(V(0), scale, prior_logvar, precision) - V(1)) * V(0.5f);
  if constexpr (kind == kStandardDeviation) return fma(scale * precision.one, precision.two, V(-1) / scale);
  const V std = softplus(scale), slope = sigmoid(scale);
  const V log_slope = select(scale < V(-20.0f), fma(std, V(-0.5f), V(1)), slope / std);
  return fma(std * precision.one * precision.two, slope, -log_slope);
}

// d KL / d prior_logvar, from the ratio of the variances.
template <class V>
DGF_HOST_DEVICE V kl_prior_logvar_slope(V offset, V ratio, Factors<V> precision) {
  return fma(offset * precision.one, -(offset * precision.two), V(1) - ratio) * V(0.5f);
}

}  // namespace dgf
