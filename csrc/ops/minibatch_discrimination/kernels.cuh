// CUDA kernels of minibatch discrimination. A warp has 32 examples of one kernel; the block walks the other examples, a
// tile at a time through shared memory, where all lanes read the same number. Every pair is visited from both sides: no
// atomics, and each sum is added up in one order.
#pragma once

#include "cuda/rows.cuh"
#include "ops/minibatch_discrimination/math.h"

namespace dgf::cuda {

inline constexpr int kMinibatchThreads = 128;
inline constexpr int kBlockKernels = kMinibatchThreads / kWarp;
inline constexpr int kOthers = 16;  // of a tile; their sums are added up on their own, then to those of the last tiles

struct MinibatchShape {
  int64_t batch, kernels, dims;
  bool include_self;

  __host__ __device__ int64_t example_tiles() const { return (batch + kWarp - 1) / kWarp; }
  __host__ __device__ int64_t kernel_tiles() const { return (kernels + kBlockKernels - 1) / kBlockKernels; }
  __host__ __device__ int64_t chunks(int size) const { return (dims + size - 1) / size; }
  // Whether another is one to compare an example with. An example itself is not: its similarity is 1 without gradient,
  // also where a feature is infinite and the difference would be NaN.
  __host__ __device__ bool compares(int64_t example, int64_t other) const { return other < batch && other != example; }
};

// Where a thread works.
struct MinibatchPlace {
  int64_t example, kernel, first_kernel;
  int slot;  // of its kernel in the block
  bool active;

  __device__ MinibatchPlace(const MinibatchShape& shape, int64_t tile) {
    slot = static_cast<int>(threadIdx.x) / kWarp;
    first_kernel = tile % shape.kernel_tiles() * kBlockKernels;
    kernel = first_kernel + slot;
    example = tile / shape.kernel_tiles() * kWarp + threadIdx.x % kWarp;
    active = example < shape.batch && kernel < shape.kernels;
  }
};

template <int kDims, class C>
struct OtherExamples {
  C values[kOthers][kBlockKernels][kDims];

  // Dimensions [dim, dim + kDims) of examples from `first` on; zero where there is none.
  template <class T>
  __device__ __forceinline__ void stage(const MinibatchShape& shape, const T* features, int64_t first,
                                        int64_t first_kernel, int64_t dim) {
    for (int i = static_cast<int>(threadIdx.x); i < kOthers * kBlockKernels * kDims; i += kMinibatchThreads) {
      const int c = i % kDims, slot = i / kDims % kBlockKernels, other = i / (kDims * kBlockKernels);
      const int64_t example = first + other, kernel = first_kernel + slot;
      const bool exists = example < shape.batch && kernel < shape.kernels && dim + c < shape.dims;
      values[other][slot][c] =
          exists ? static_cast<C>(features[(example * shape.kernels + kernel) * shape.dims + dim + c]) : C(0);
    }
  }
};

// A thread's own example, and its distances to a tile of others, over chunks of kDims dimensions.
template <int kDims, class T>
struct PairWalk {
  using C = Compute<T>;
  C own[kDims];
  C distance[kOthers];

  // The chunk `last` comes last: `own` and `others` hold it in the end.
  __device__ __forceinline__ void measure(const MinibatchShape& shape, const T* features, const MinibatchPlace& place,
                                          int64_t first, int64_t last, OtherExamples<kDims, C>& others) {
    const int64_t chunks = shape.chunks(kDims);
#pragma unroll
    for (int j = 0; j < kOthers; ++j) distance[j] = C(0);
    for (int64_t step = 1; step <= chunks; ++step) {
      const int64_t dim = (last + step) % chunks * kDims;
      __syncthreads();  // until the last tile has been read
      others.stage(shape, features, first, place.first_kernel, dim);
      if (first == 0 || chunks > 1) load(shape, features, place, dim);
      __syncthreads();
#pragma unroll
      for (int j = 0; j < kOthers; ++j)
#pragma unroll
        for (int c = 0; c < kDims; ++c) distance[j] += distance_term(own[c], others.values[j][place.slot][c]);
    }
  }

  __device__ __forceinline__ void load(const MinibatchShape& shape, const T* features, const MinibatchPlace& place,
                                       int64_t dim) {
    const T* from = features + (place.example * shape.kernels + place.kernel) * shape.dims + dim;
#pragma unroll
    for (int c = 0; c < kDims; ++c) own[c] = place.active && dim + c < shape.dims ? static_cast<C>(from[c]) : C(0);
  }
};

// sums [batch, kernels] of the similarities. A block for every tile of examples and of kernels.
template <int kDims, class T>
__global__ void __launch_bounds__(kMinibatchThreads)
    similarities_kernel(MinibatchShape shape, const T* features, Compute<T>* sums) {
  using C = Compute<T>;
  __shared__ OtherExamples<kDims, C> others;
  const MinibatchPlace place(shape, blockIdx.x);
  PairWalk<kDims, T> walk;
  C total = C(0);
  for (int64_t first = 0; first < shape.batch; first += kOthers) {
    walk.measure(shape, features, place, first, 0, others);
    C part = C(0);
#pragma unroll
    for (int j = 0; j < kOthers; ++j)
      if (shape.compares(place.example, first + j)) part += similarity(walk.distance[j]);
    total += part;
  }
  if (shape.include_self) total += C(1);
  if (place.active) sums[place.example * shape.kernels + place.kernel] = total;
}

// Gradients of the features: a block for every tile of examples and of kernels, and chunk of kDims dimensions.
template <int kDims, class T>
__global__ void __launch_bounds__(kMinibatchThreads)
    similarity_gradients_kernel(MinibatchShape shape, const T* features, const Compute<T>* grad, T* grad_features) {
  using C = Compute<T>;
  __shared__ OtherExamples<kDims, C> others;
  const int64_t chunks = shape.chunks(kDims), chunk = blockIdx.x % chunks;
  const MinibatchPlace place(shape, blockIdx.x / chunks);
  const C own_grad = place.active ? grad[place.example * shape.kernels + place.kernel] : C(0);
  PairWalk<kDims, T> walk;
  C total[kDims];
#pragma unroll
  for (int c = 0; c < kDims; ++c) total[c] = C(0);
  for (int64_t first = 0; first < shape.batch; first += kOthers) {
    walk.measure(shape, features, place, first, chunk, others);
    C part[kDims];
#pragma unroll
    for (int c = 0; c < kDims; ++c) part[c] = C(0);
#pragma unroll
    for (int j = 0; j < kOthers; ++j) {
      if (!place.active || !shape.compares(place.example, first + j)) continue;
      const C weight = (own_grad + grad[(first + j) * shape.kernels + place.kernel]) * similarity(walk.distance[j]);
#pragma unroll
      for (int c = 0; c < kDims; ++c) part[c] -= similarity_slope(weight, walk.own[c], others.values[j][place.slot][c]);
    }
#pragma unroll
    for (int c = 0; c < kDims; ++c) total[c] += part[c];
  }
  if (!place.active) return;
  const int64_t dim = chunk * kDims;
  T* to = grad_features + (place.example * shape.kernels + place.kernel) * shape.dims + dim;
#pragma unroll
  for (int c = 0; c < kDims; ++c)
    if (dim + c < shape.dims) to[c] = static_cast<T>(total[c]);
}

}  // namespace dgf::cuda
