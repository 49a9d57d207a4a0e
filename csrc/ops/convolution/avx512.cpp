// The convolutions for avx512; see csrc/cpu/avx512.cpp on the order of headers and the target pragma.
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../../common/scalar_math.h"
#include "arguments.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#define DGF_VECTOR_BYTES 64

#include "../../common/activation.h"

namespace dgf {
namespace avx512 {
#include "kernel_table.h"
}  // namespace avx512
const ConvolutionKernels* convolution_avx512() { return &avx512::kConvolutions; }
}  // namespace dgf
#else
namespace dgf {
const ConvolutionKernels* convolution_avx512() { return nullptr; }
}  // namespace dgf
#endif
