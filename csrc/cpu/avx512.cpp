// The kernels for avx512. Standard headers come before the target pragma, so none of their inline functions is compiled
// for instructions that the processor at hand may lack; no torch header comes at all.
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../common/scalar_math.h"
#include "kernels.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#define DGF_VECTOR_BYTES 64
#define DGF_SET_NAME "avx512"

#include "../common/philox.h"
#include "../ops/bernoulli_log_likelihood/math.h"
#include "../ops/gaussian_log_likelihood/math.h"
#include "../ops/reparameterize_kl/math.h"

namespace dgf {
namespace avx512 {
#include "kernel_table.h"
}  // namespace avx512
const CpuKernels* kernels_avx512() { return &avx512::kTable; }
}  // namespace dgf
#else
namespace dgf {
const CpuKernels* kernels_avx512() { return nullptr; }
}  // namespace dgf
#endif
