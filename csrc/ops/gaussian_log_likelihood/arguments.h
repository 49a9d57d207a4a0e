// The kernels that the launchers of gaussian_log_likelihood and negative_elbo choose from.
#pragma once

#include "cpu/kernels.h"

namespace dgf {

const LikelihoodKernels* gaussian_avx2();
const LikelihoodKernels* gaussian_avx512();
const LikelihoodKernels* gaussian_neon();

const LikelihoodKernels& gaussian_kernels();  // of the set in use

}  // namespace dgf
