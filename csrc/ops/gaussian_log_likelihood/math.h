// Gaussian log-likelihood of one pixel, and its derivatives (chapter equations 13.18 and 13.28).
#pragma once

#include "../../common/scalar_math.h"

namespace dgf {

// 1 / sigma^2, finite and positive: neither 0 * inf nor inf * 0 arises from finite input. Not 1 / sigma squared, which
// would double the exponential's error.
template <class V>
DGF_HOST_DEVICE V gaussian_precision(V logvar) {
  return exp_finite(-logvar);
}

// log N(target; mean, sigma^2) = -(log 2 pi + logvar + offset scaled) / 2, offset = target - mean, scaled =
// offset / sigma^2.
template <class V>
DGF_HOST_DEVICE V gaussian_value(V offset, V scaled, V logvar) {
  return fma(offset, scaled, logvar + V(1.8378770664093453)) * V(-0.5f);
}

// Unit variance: logvar = 0.
template <class V>
DGF_HOST_DEVICE V gaussian_unit_value(V offset) {
  return fma(offset, offset, V(1.8378770664093453)) * V(-0.5f);
}

// d/d mean is `scaled` itself, d/d target its negative; d/d logvar = (offset scaled - 1) / 2.
template <class V>
DGF_HOST_DEVICE V gaussian_logvar_slope(V offset, V scaled) {
  return fma(offset, scaled, V(-1)) * V(0.5f);
}

}  // namespace dgf
