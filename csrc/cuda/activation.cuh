// What closes a convolution or a batch norm, on a pack of channels: scale, shift and activation.
#pragma once

#include <type_traits>

#include "math/activation.h"
#include "cuda/memory.cuh"

namespace dgf::cuda {

// Calls visit(std::integral_constant<int, activation>). One predictable branch for a whole pack costs less than a
// kernel for every activation.
template <class Visitor>
__device__ __forceinline__ void with_activation(int activation, Visitor&& visit) {
  switch (activation) {
    case kRelu: return visit(std::integral_constant<int, kRelu>{});
    case kLeakyRelu: return visit(std::integral_constant<int, kLeakyRelu>{});
    case kTanh: return visit(std::integral_constant<int, kTanh>{});
    case kSigmoid: return visit(std::integral_constant<int, kSigmoid>{});
    default: return visit(std::integral_constant<int, kNoActivation>{});
  }
}

template <class C, int N>
__device__ __forceinline__ void activate_pack(int activation, C negative_slope, C (&values)[N]) {
  with_activation(activation, [&](auto chosen) {
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] = activate<decltype(chosen)::value>(values[i], negative_slope);
  });
}

// N numbers of a vector over channels, or `otherwise` where there is no vector.
template <bool Vectorized, class C, int N>
__device__ __forceinline__ void load_channels(const C* vector, int64_t channel, int valid, C otherwise,
                                              C (&values)[N]) {
  if (vector) {
    load<Vectorized>(vector + channel, valid, values);
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] = otherwise;
  }
}

// output = activation(value * scale + shift), scale and shift per channel.
template <class C>
struct Epilogue {
  const C* scale;  // [channels], or null for 1
  const C* shift;  // [channels], or null for 0
  int activation;
  C negative_slope;

  template <int N>
  struct Channels {
    C scale[N], shift[N];
  };

  template <bool Vectorized, int N>
  __device__ __forceinline__ void read(int64_t channel, int valid, Channels<N>& channels) const {
    load_channels<Vectorized>(scale, channel, valid, C(1), channels.scale);
    load_channels<Vectorized>(shift, channel, valid, C(0), channels.shift);
  }

  template <int N>
  __device__ __forceinline__ void apply(const Channels<N>& channels, C (&values)[N]) const {
    if (scale || shift)
#pragma unroll
      for (int i = 0; i < N; ++i) values[i] = dgf::fma(values[i], channels.scale[i], channels.shift[i]);
    if (activation != kNoActivation) activate_pack(activation, negative_slope, values);
  }
};

}  // namespace dgf::cuda
