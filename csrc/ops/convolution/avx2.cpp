// The convolutions for avx2; see csrc/cpu/avx2.cpp on the order of headers and the target pragma.
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../../common/scalar_math.h"
#include "arguments.h"

#if defined(__x86_64__)
#pragma GCC target("avx2,fma,f16c")
#define DGF_VECTOR_BYTES 32

#include "../../common/activation.h"

namespace dgf {
namespace avx2 {
#include "kernel_table.h"
}  // namespace avx2
const ConvolutionKernels* convolution_avx2() { return &avx2::kConvolutions; }
}  // namespace dgf
#else
namespace dgf {
const ConvolutionKernels* convolution_avx2() { return nullptr; }
}  // namespace dgf
#endif
