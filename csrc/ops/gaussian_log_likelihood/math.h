// Gaussian log-likelihood of one pixel, and its derivatives (chapter equations 13.18 and 13.28).
#pragma once

#include "../../common/scalar_math.h"

namespace dgf {

// 1 / sigma, finite and positive: neither 0 * inf nor inf * 0 arises from finite input.
template <class V>
DGF_HOST_DEVICE V gaussian_inverse_std(V logvar) {
  return exp_finite(logvar * V(-0.5f));
}

// log N(target; mean, sigma^2) = -(log 2 pi + logvar + scaled^2) / 2, scaled = (target - mean) / sigma.
template <class V>
DGF_HOST_DEVICE V gaussian_value(V scaled, V logvar) {
  return fma(scaled, scaled, logvar + V(1.8378770664093453)) * V(-0.5f);
}

// Unit variance: logvar = 0.
template <class V>
DGF_HOST_DEVICE V gaussian_unit_value(V offset) {
  return fma(offset, offset, V(1.8378770664093453)) * V(-0.5f);
}

// d/d mean = (target - mean) / sigma^2; d/d target is its negative.
template <class V>
DGF_HOST_DEVICE V gaussian_mean_slope(V scaled, V inverse_std) {
  return scaled * inverse_std;
}

// d/d logvar = (scaled^2 - 1) / 2.
template <class V>
DGF_HOST_DEVICE V gaussian_logvar_slope(V scaled) {
  return fma(scaled, scaled, V(-1)) * V(0.5f);
}

}  // namespace dgf
