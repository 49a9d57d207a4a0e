// The kernels that the launchers of bernoulli_log_likelihood and negative_elbo choose from.
#pragma once

#include "cpu/kernels.h"

namespace dgf {

const LikelihoodKernels* bernoulli_avx2();
const LikelihoodKernels* bernoulli_avx512();
const LikelihoodKernels* bernoulli_neon();

const LikelihoodKernels& bernoulli_kernels();  // of the set in use

}  // namespace dgf
