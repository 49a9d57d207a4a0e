// Gaussian log-likelihood of one pixel, and its derivatives (chapter equations 13.18 and 13.28).
#pragma once

#include "math/weighted.h"

namespace dgf {

// 1 / sigma^2 in factors, so that its product with an offset overflows or vanishes only where that is the truth. Not
// 1 / sigma squared, which would double the exponential's error.
template <class V>
DGF_HOST_DEVICE Factors<V> gaussian_precision(V logvar) {
  return exp_factors(-logvar);
}

// log N(target; mean, sigma^2) = -(log 2 pi + logvar + offset^2 / sigma^2) / 2, offset = target - mean. The square
// decides where it overflows: logvar = -inf is no help to a target off the mean.
template <class V>
DGF_HOST_DEVICE V gaussian_value(V offset, Factors<V> precision, V logvar) {
  const V one = offset * precision.one, two = offset * precision.two, square = one * two;
  const V value = fma(one, two, logvar + V(1.8378770664093453)) * V(-0.5f);
  return select(square < V(std::numeric_limits<float>::infinity()), value, -square);
}

// Unit variance: logvar = 0.
template <class V>
DGF_HOST_DEVICE V gaussian_unit_value(V offset) {
  return fma(offset, offset, V(1.8378770664093453)) * V(-0.5f);
}

// d/d mean = offset / sigma^2; d/d target is its negative.
template <class V>
DGF_HOST_DEVICE V gaussian_mean_slope(V offset, Factors<V> precision) {
  return offset * precision.one * precision.two;
}

// d/d logvar = (offset^2 / sigma^2 - 1) / 2.
template <class V>
DGF_HOST_DEVICE V gaussian_logvar_slope(V offset, Factors<V> precision) {
  return fma(offset * precision.one, offset * precision.two, V(-1)) * V(0.5f);
}

}  // namespace dgf
