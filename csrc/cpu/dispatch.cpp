// Chooses the instruction set once, at load.
#include <cstdlib>
#include <cstring>

#include "cpu/kernels.h"

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

const char* choose() {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  const char* forced = std::getenv("DEEPGEN_FAST_ISA");
#if defined(__aarch64__)
  const char* const candidates[] = {"neon"};
#else
  const char* const candidates[] = {runs_avx512() ? "avx512" : nullptr, runs_avx2() ? "avx2" : nullptr};
#endif
  for (const char* name : candidates)
    if (name && (!forced || std::strcmp(forced, name) == 0)) return name;
  return nullptr;
}

}  // namespace

const char* instruction_set() {
  static const char* const name = choose();
  return name;
}

}  // namespace dgf
