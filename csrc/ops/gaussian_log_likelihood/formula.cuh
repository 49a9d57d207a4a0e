// The Gaussian likelihood as the CUDA body of all likelihoods takes it (cuda/likelihood.cuh).
#pragma once

#include "cuda/likelihood.cuh"
#include "ops/gaussian_log_likelihood/math.h"

namespace dgf::cuda {

struct GaussianFormula {
  static constexpr bool kLogvar = true;

  template <class C>
  static __device__ Factors<C> precision(C logvar) {
    return gaussian_precision(logvar);
  }

  template <class C>
  static __device__ C value(C mean, C target, C logvar, Factors<C> precision) {
    return gaussian_value(target - mean, precision, logvar);
  }

  template <class C>
  static __device__ Slopes<C> slopes(C mean, C target, Factors<C> precision) {
    const C offset = target - mean, scaled = gaussian_mean_slope(offset, precision);
    return {scaled, -scaled, gaussian_logvar_slope(offset, precision)};
  }
};

}  // namespace dgf::cuda
