// Function qualifiers for formulas that serve the CPU kernels, the CUDA kernels and the emulated CUDA kernels.
#pragma once

#if defined(__CUDACC__)
#define DGF_HOST_DEVICE static __host__ __device__ __forceinline__
#else
// Always inlined: a copy of the same template compiled for a wider instruction set must never be what the linker keeps.
#define DGF_HOST_DEVICE static inline __attribute__((always_inline))
#endif
