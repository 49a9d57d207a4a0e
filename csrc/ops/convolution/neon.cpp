// The convolutions for neon; see csrc/cpu/neon.cpp on the order of headers and the target pragma.
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../../common/scalar_math.h"
#include "arguments.h"

#if defined(__aarch64__)
#define DGF_VECTOR_BYTES 16

#include "../../common/activation.h"

namespace dgf {
namespace neon {
#include "kernel_table.h"
}  // namespace neon
const ConvolutionKernels* convolution_neon() { return &neon::kConvolutions; }
}  // namespace dgf
#else
namespace dgf {
const ConvolutionKernels* convolution_neon() { return nullptr; }
}  // namespace dgf
#endif
