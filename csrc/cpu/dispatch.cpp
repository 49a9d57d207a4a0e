// Chooses the instruction set once, at load.
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace dgf {
namespace {

bool runs_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

bool runs_avx512() {
#if defined(__x86_64__)
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

const CpuKernels* choose() {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  const char* forced = std::getenv("DEEPGEN_FAST_ISA");
  const CpuKernels* const candidates[] = {runs_avx512() ? kernels_avx512() : nullptr,
                                          runs_avx2() ? kernels_avx2() : nullptr, kernels_neon()};
  for (const CpuKernels* kernels : candidates)
    if (kernels && (!forced || std::strcmp(forced, kernels->name) == 0)) return kernels;
  return nullptr;
}

}  // namespace

const CpuKernels* cpu_kernels() {
  static const CpuKernels* const kernels = choose();
  return kernels;
}

}  // namespace dgf
