// Skeleton of an operator's cpu.cpp, which the build compiles once per instruction set: with DGF_AVX2, DGF_AVX512 or
// DGF_NEON defined. The file defines
//   DGF_ARGUMENTS, DGF_MATH, DGF_KERNELS       the operator's headers: plain structs; formulas; bodies and `kTable`,
// includes this, and returns DGF_TABLE from DGF_TABLE_OF(operator): the table's address, or null where the set is none
// of this processor family.
// Standard headers come before the target pragma, so none of their inline functions is compiled for instructions that
// the processor at hand may lack; no torch header comes at all.
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu/kernels.h"
#include "math/scalar_math.h"
#include DGF_ARGUMENTS

#if defined(DGF_AVX2)
#define DGF_TABLE_OF(name) name##_avx2
#elif defined(DGF_AVX512)
#define DGF_TABLE_OF(name) name##_avx512
#elif defined(DGF_NEON)
#define DGF_TABLE_OF(name) name##_neon
#else
#error "compile this once per instruction set: with DGF_AVX2, DGF_AVX512 or DGF_NEON defined"
#endif

#if defined(DGF_AVX2) && defined(__x86_64__)
#pragma GCC target("avx2,fma,f16c")
#define DGF_VECTOR_BYTES 32
#define DGF_SET avx2
#define DGF_SET_NAME "avx2"
#elif defined(DGF_AVX512) && defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#define DGF_VECTOR_BYTES 64
#define DGF_SET avx512
#define DGF_SET_NAME "avx512"
#elif defined(DGF_NEON) && defined(__aarch64__)
#define DGF_VECTOR_BYTES 16
#define DGF_SET neon
#define DGF_SET_NAME "neon"
#endif

#if defined(DGF_SET)
#define DGF_LAMBDA_INLINE __attribute__((always_inline))
#include DGF_MATH
#include "math/philox.h"

namespace dgf {
namespace DGF_SET {
// clang-format off: the order matters
#include "cpu/vector.h"
#include "cpu/vector_math.h"
#include "cpu/lanes.h"
#include "cpu/double_lanes.h"
#include DGF_KERNELS
// clang-format on
}  // namespace DGF_SET
}  // namespace dgf
#define DGF_TABLE &DGF_SET::kTable
#else
#define DGF_TABLE nullptr
#endif
