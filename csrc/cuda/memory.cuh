// Reading and writing runs of neighboring columns, 128 bits at a time where alignment allows.
#pragma once

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/language.h"

namespace dgf::cuda {

using torch::headeronly::BFloat16;
using torch::headeronly::Half;

// float64 computes and accumulates in float64, everything else in float32.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Columns that one thread handles at a time: at least 16 bytes, and a multiple of the four columns that share a
// Philox counter.
template <class T>
inline constexpr int kPack = sizeof(T) == 2 ? 8 : 4;

template <int Bytes>
struct WordOf;
template <>
struct WordOf<4> {
  using Type = uint32_t;
};
template <>
struct WordOf<8> {
  using Type = uint2;
};
template <>
struct WordOf<16> {
  using Type = uint4;
};

// The widest access for a run of N elements, which must be aligned to it.
template <class T, int N>
inline constexpr int kAccessBytes = N * sizeof(T) < 16 ? N * sizeof(T) : 16;

// N columns from `source`, converted to C. Without Vectorized only the first `valid` exist, the rest become zero.
template <bool Vectorized, class T, class C, int N>
__device__ __forceinline__ void load(const T* source, int valid, C (&values)[N]) {
  if constexpr (Vectorized) {
    using Word = typename WordOf<kAccessBytes<T, N>>::Type;
    constexpr int kWords = N * sizeof(T) / sizeof(Word);
    Word words[kWords];
#pragma unroll
    for (int i = 0; i < kWords; ++i) words[i] = __ldg(reinterpret_cast<const Word*>(source) + i);
    T elements[N];
    std::memcpy(elements, words, sizeof(elements));
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] = static_cast<C>(elements[i]);
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] = i < valid ? static_cast<C>(source[i]) : C(0);
  }
}

template <bool Vectorized, class T, class C, int N>
__device__ __forceinline__ void store(T* destination, int valid, const C (&values)[N]) {
  if constexpr (Vectorized) {
    using Word = typename WordOf<kAccessBytes<T, N>>::Type;
    constexpr int kWords = N * sizeof(T) / sizeof(Word);
    T elements[N];
#pragma unroll
    for (int i = 0; i < N; ++i) elements[i] = static_cast<T>(values[i]);
    Word words[kWords];
    std::memcpy(words, elements, sizeof(elements));
    // Spelled out: a plain assignment is split into its members on some architectures.
#pragma unroll
    for (int i = 0; i < kWords; ++i) __stwb(reinterpret_cast<Word*>(destination) + i, words[i]);
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (i < valid) destination[i] = static_cast<T>(values[i]);
  }
}

// An input whose type is known at run time only, and whose rows may be shared: row r reads row r % rows.
// One predictable branch for a whole pack costs less than a kernel for every combination of types.
enum class Kind : int32_t { kAbsent, kSame, kFloat, kByte };

struct Operand {
  const void* data = nullptr;
  int64_t rows = 1;
  Kind kind = Kind::kAbsent;

  __host__ __device__ explicit operator bool() const { return kind != Kind::kAbsent; }
};

__device__ __forceinline__ int64_t modulo(int64_t value, int64_t divisor) {
  if (value < divisor) return value;
  // 32-bit division is several times cheaper, and nearly every batch fits.
  if ((value | divisor) >> 32 == 0) return static_cast<uint32_t>(value) % static_cast<uint32_t>(divisor);
  return value % divisor;
}

// Where row `row` of the operand starts, in elements.
__device__ __forceinline__ int64_t row_offset(const Operand& operand, int64_t row, int64_t columns) {
  return modulo(row, operand.rows) * columns;
}

// N columns of an operand from element `offset` on. T is what Kind::kSame stands for.
template <bool Vectorized, class T, class C, int N>
__device__ __forceinline__ void load(const Operand& operand, int64_t offset, int valid, C (&values)[N]) {
  if (operand.kind == Kind::kSame) {
    load<Vectorized>(static_cast<const T*>(operand.data) + offset, valid, values);
  } else if (!std::is_same_v<T, float> && operand.kind == Kind::kFloat) {
    load<Vectorized>(static_cast<const float*>(operand.data) + offset, valid, values);
  } else {
    load<Vectorized>(static_cast<const uint8_t*>(operand.data) + offset, valid, values);
  }
}

// One element of an operand that holds no bytes.
template <class T>
__device__ __forceinline__ Compute<T> load_scalar(const Operand& operand, int64_t offset) {
  if (operand.kind == Kind::kSame) return static_cast<Compute<T>>(static_cast<const T*>(operand.data)[offset]);
  return static_cast<Compute<T>>(static_cast<const float*>(operand.data)[offset]);
}

// Which of N columns count: those that exist, and that the mask (if any) keeps.
template <bool Vectorized, int N>
__device__ __forceinline__ void load_mask(const Operand& mask, int64_t offset, int valid, bool (&keep)[N]) {
  if (mask) {
    float bytes[N];
    load<Vectorized>(static_cast<const uint8_t*>(mask.data) + offset, valid, bytes);
#pragma unroll
    for (int i = 0; i < N; ++i) keep[i] = bytes[i] != 0.0f;
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) keep[i] = Vectorized || i < valid;
  }
}

}  // namespace dgf::cuda
