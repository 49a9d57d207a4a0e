// The CUDA C++ language: from nvcc for the product, from the SIMT emulator for tests that run without a GPU.
#pragma once

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#elif defined(DGF_SIMT)
#include <simt.h>
#else
#error "CUDA sources are compiled by nvcc, or by a C++ compiler with -DDGF_SIMT and tests/simt on the include path"
#endif
