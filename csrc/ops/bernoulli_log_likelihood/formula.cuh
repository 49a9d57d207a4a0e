// The Bernoulli likelihood as the CUDA body of all likelihoods takes it (cuda/likelihood.cuh).
#pragma once

#include "cuda/likelihood.cuh"
#include "ops/bernoulli_log_likelihood/math.h"

namespace dgf::cuda {

struct BernoulliFormula {
  static constexpr bool kLogvar = false;

  template <class C>
  static __device__ C value(C logit, C target, C, Factors<C>) {
    return bernoulli_value(logit, target, bernoulli_decay(logit));
  }

  template <class C>
  static __device__ Slopes<C> slopes(C logit, C target, Factors<C>) {
    return {bernoulli_logit_slope(logit, target, bernoulli_decay(logit)), logit, C(0)};
  }
};

}  // namespace dgf::cuda
