// Philox4x32-10 (Salmon et al., SC 2011) and the noise drawn from it, for one lane or many.
// The contract, shared by every backend: column j of example b in sample m takes output j % 4 of counter
// (j / 4, b low 32 bits, b high 32 bits, m) under the key (seed low 32 bits, seed high 32 bits).
#pragma once

#include "math/scalar_math.h"

namespace dgf {

DGF_HOST_DEVICE void multiply_high_low(uint32_t multiplier, uint32_t word, uint32_t& high, uint32_t& low) {
  const uint64_t product = static_cast<uint64_t>(multiplier) * word;
  high = static_cast<uint32_t>(product >> 32);
  low = static_cast<uint32_t>(product);
}

DGF_HOST_DEVICE uint32_t xor3(uint32_t a, uint32_t b, uint32_t c) { return a ^ b ^ c; }

// Four words of U (uint32_t, or a vector of them), in place.
template <class U>
DGF_HOST_DEVICE void philox4x32(uint64_t seed, U& word0, U& word1, U& word2, U& word3) {
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
#if defined(__CUDACC__)
#pragma unroll
#else
#pragma GCC unroll 10
#endif
  for (int round = 0; round < 10; ++round) {
    U high0, low0, high1, low1;
    multiply_high_low(0xD2511F53u, word0, high0, low0);
    multiply_high_low(0xCD9E8D57u, word2, high1, low1);
    word0 = xor3(high1, word1, key0);
    word1 = low1;
    word2 = xor3(high0, word3, key1);
    word3 = low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

// Two standard normals of V (float, or a vector of floats): radius from the first word, angle from the second.
template <class V, class U>
DGF_HOST_DEVICE void box_muller(U radius_word, U angle_word, V& first, V& second) {
  const V radius_uniform = fma(to_float(radius_word), V(0x1p-32f), V(0x1p-33f));
  const V angle_uniform = fma(to_float(angle_word), V(0x1p-32f), V(0x1p-33f));
  const V radius = square_root(log_normal(radius_uniform) * V(-2.0f));
  V sine, cosine;
  sincos_turn(angle_uniform, sine, cosine);
  first = radius * cosine;
  second = radius * sine;
}

}  // namespace dgf
