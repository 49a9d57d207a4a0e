// A pack of the approximate posterior q = N(mean, sigma^2) and its prior, as the CUDA kernels of
// reparameterize_kl and negative_elbo share it.
#pragma once

#include "cuda/rows.cuh"
#include "ops/reparameterize_kl/math.h"

namespace dgf::cuda {

// visit(std::integral_constant<int, kind>): one branch a pack, the same for the whole grid.
template <class Visitor>
__device__ __forceinline__ void with_scale_kind(int kind, Visitor&& visit) {
  if (kind == kLogVariance) {
    visit(std::integral_constant<int, kLogVariance>{});
  } else if (kind == kStandardDeviation) {
    visit(std::integral_constant<int, kStandardDeviation>{});
  } else {
    visit(std::integral_constant<int, kPreSoftplus>{});
  }
}

template <class T>
struct PosteriorInputs {
  using C = Compute<T>;
  static constexpr int N = kPack<T>;
  // For the bodies that use this (cuda_rows.cuh): the most that leaves no kernel with spilled registers.
  static constexpr int kResidentBlocks = sizeof(T) == 4 ? 3 : sizeof(T) == 2 ? 2 : 1;

  const T* mean;  // [batch, row_length]
  const T* scale;
  int64_t row_length;
  Operand prior_mean, prior_logvar;  // absent: 0
  int scale_kind;

  struct Row {
    int64_t start, prior_mean, prior_logvar;
  };
  __device__ Row row(int64_t example) const {
    return {example * row_length, row_offset(prior_mean, example, row_length),
            row_offset(prior_logvar, example, row_length)};
  }

  struct Pack {
    C mean[N], scale[N], prior_mean[N], prior_logvar[N];
  };

  template <bool Vectorized>
  __device__ __forceinline__ void read(const Row& row, int64_t column, int valid, Pack& pack) const {
    load<Vectorized>(mean + row.start + column, valid, pack.mean);
    load<Vectorized>(scale + row.start + column, valid, pack.scale);
    read_prior<Vectorized>(prior_mean, row.prior_mean + column, valid, pack.prior_mean);
    read_prior<Vectorized>(prior_logvar, row.prior_logvar + column, valid, pack.prior_logvar);
  }

  // KL of element i of a pack; `q` is its scale, expanded.
  template <int kind>
  __device__ __forceinline__ C kl(const Pack& pack, int i, const Scale<C>& q) const {
    return prior_logvar ? kl_prior<kind>(pack.mean[i], q, pack.prior_mean[i], pack.prior_logvar[i])
                        : kl_standard(pack.mean[i] - pack.prior_mean[i], q);
  }

  static __device__ __forceinline__ Factors<C> precision(const Pack& pack, int i) {
    return prior_precision(pack.prior_logvar[i]);
  }

  // d KL / d mean.
  static __device__ __forceinline__ C kl_mean_slope(const Pack& pack, int i) {
    return dgf::kl_mean_slope(pack.mean[i] - pack.prior_mean[i], precision(pack, i));
  }

  // d KL / d scale.
  template <int kind>
  static __device__ __forceinline__ C kl_scale_slope(const Pack& pack, int i) {
    return dgf::kl_scale_slope<kind>(pack.scale[i], pack.prior_logvar[i], precision(pack, i));
  }

  Alignment<T> alignment() const {
    return Alignment<T>(row_length).with(mean).with(scale).with(prior_mean).with(prior_logvar);
  }

 private:
  template <bool Vectorized>
  static __device__ __forceinline__ void read_prior(const Operand& prior, int64_t offset, int valid, C (&values)[N]) {
    if (prior) {
      load<Vectorized>(static_cast<const T*>(prior.data) + offset, valid, values);
    } else {
#pragma unroll
      for (int i = 0; i < N; ++i) values[i] = C(0);
    }
  }
};

}  // namespace dgf::cuda
