// Gaussian noise in registers: a pack of neighboring columns takes whole Philox counters (math/philox.h).
#pragma once

#include "cuda/memory.cuh"
#include "math/philox.h"

namespace dgf::cuda {

// noise[i] for columns column .. column + N - 1 (column % 4 == 0) of one example in one sample.
template <class C, int N>
__device__ __forceinline__ void generate_noise(uint64_t seed, int64_t example, uint32_t sample, int64_t column,
                                               C (&noise)[N]) {
  static_assert(N % 4 == 0);
#pragma unroll
  for (int group = 0; group < N / 4; ++group) {
    uint32_t word0 = static_cast<uint32_t>(column / 4 + group);
    uint32_t word1 = static_cast<uint32_t>(example);
    uint32_t word2 = static_cast<uint32_t>(static_cast<uint64_t>(example) >> 32);
    uint32_t word3 = sample;
    philox4x32(seed, word0, word1, word2, word3);
    float normals[4];
    box_muller(word0, word1, normals[0], normals[1]);
    box_muller(word2, word3, normals[2], normals[3]);
#pragma unroll
    for (int i = 0; i < 4; ++i) noise[4 * group + i] = static_cast<C>(normals[i]);
  }
}

}  // namespace dgf::cuda
