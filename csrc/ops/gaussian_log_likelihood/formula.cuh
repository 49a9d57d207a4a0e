// The Gaussian likelihood as the CUDA body of all likelihoods takes it (common/cuda_likelihood.cuh).
#pragma once

#include "common/cuda_likelihood.cuh"
#include "ops/gaussian_log_likelihood/math.h"

namespace dgf::cuda {

struct GaussianFormula {
  static constexpr bool kLogvar = true;

  template <class C>
  static __device__ C inverse_std(C logvar) {
    return gaussian_inverse_std(logvar);
  }

  template <class C>
  static __device__ C value(C mean, C target, C logvar, C inverse_std) {
    return gaussian_value((target - mean) * inverse_std, logvar);
  }

  template <class C>
  static __device__ Slopes<C> slopes(C mean, C target, C inverse_std) {
    const C scaled = (target - mean) * inverse_std;
    const C slope = gaussian_mean_slope(scaled, inverse_std);
    return {slope, -slope, gaussian_logvar_slope(scaled)};
  }
};

}  // namespace dgf::cuda
