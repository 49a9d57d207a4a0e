// The body of one instruction set: included by avx2.cpp, avx512.cpp and neon.cpp inside their namespace, with
// DGF_VECTOR_BYTES set, so that every type and function here exists once per set and is compiled for it.

#define DGF_LAMBDA_INLINE __attribute__((always_inline))

// clang-format off: the order matters
#include "cpu/vector.h"
#include "cpu/vector_math.h"
#include "cpu/lanes.h"
#include "cpu/noise.h"
#include "ops/bernoulli_log_likelihood/cpu_kernel.h"
#include "ops/gaussian_log_likelihood/cpu_kernel.h"
#include "ops/reparameterize_kl/cpu_kernel.h"
// clang-format on

static const CpuKernels kTable = {
    DGF_SET_NAME,
    {bernoulli_rows<float, true, false>, bernoulli_rows<double, true, false>, bernoulli_rows<BFloat16, true, false>,
     bernoulli_rows<Half, true, false>},
    {bernoulli_rows<float, false, true>, bernoulli_rows<double, false, true>, bernoulli_rows<BFloat16, false, true>,
     bernoulli_rows<Half, false, true>},
    {bernoulli_rows<float, true, true>, bernoulli_rows<double, true, true>, bernoulli_rows<BFloat16, true, true>,
     bernoulli_rows<Half, true, true>},
    {gaussian_rows<float, true, false>, gaussian_rows<double, true, false>, gaussian_rows<BFloat16, true, false>,
     gaussian_rows<Half, true, false>},
    {gaussian_rows<float, false, true>, gaussian_rows<double, false, true>, gaussian_rows<BFloat16, false, true>,
     gaussian_rows<Half, false, true>},
    {gaussian_rows<float, true, true>, gaussian_rows<double, true, true>, gaussian_rows<BFloat16, true, true>,
     gaussian_rows<Half, true, true>},
    {reparameterize_kl_any<float>, reparameterize_kl_any<double>, reparameterize_kl_any<BFloat16>,
     reparameterize_kl_any<Half>},
    {reparameterize_kl_backward_any<float>, reparameterize_kl_backward_any<double>,
     reparameterize_kl_backward_any<BFloat16>, reparameterize_kl_backward_any<Half>},
    {kl_with_gradient_any<float>, kl_with_gradient_any<double>, kl_with_gradient_any<BFloat16>,
     kl_with_gradient_any<Half>},
    philox_normal,
};
