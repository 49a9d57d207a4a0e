// The kernels for neon. Standard headers come before the target pragma, so none of their inline functions is compiled
// for instructions that the processor at hand may lack; no torch header comes at all.
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../common/scalar_math.h"
#include "kernels.h"

#if defined(__aarch64__)

#define DGF_VECTOR_BYTES 16
#define DGF_SET_NAME "neon"

#include "../common/philox.h"
#include "../ops/bernoulli_log_likelihood/math.h"
#include "../ops/gaussian_log_likelihood/math.h"
#include "../ops/reparameterize_kl/math.h"

namespace dgf {
namespace neon {
#include "kernel_table.h"
}  // namespace neon
const CpuKernels* kernels_neon() { return &neon::kTable; }
}  // namespace dgf
#else
namespace dgf {
const CpuKernels* kernels_neon() { return nullptr; }
}  // namespace dgf
#endif
