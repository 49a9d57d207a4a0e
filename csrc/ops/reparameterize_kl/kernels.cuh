// CUDA bodies (cuda/rows.cuh) of reparameterize_kl, its backward, and philox_normal.
#pragma once

#include "cuda/noise.cuh"
#include "ops/reparameterize_kl/posterior.cuh"

namespace dgf::cuda {

// The noise of a call: given, or generated from a seed in device memory (so that a CUDA graph can replay the call
// with another seed).
template <class T>
struct NoiseSource {
  const T* given;  // [samples, batch, row_length] or null
  const int64_t* seed;

  __device__ uint64_t load_seed() const { return seed ? static_cast<uint64_t>(*seed) : 0; }

  template <bool Vectorized, class C, int N>
  __device__ __forceinline__ void read(uint64_t seed_value, int64_t example, int64_t sample, int64_t column,
                                       int64_t offset, int valid, C (&noise)[N]) const {
    if (given) {
      load<Vectorized>(given + offset, valid, noise);
    } else {
      generate_noise(seed_value, example, static_cast<uint32_t>(sample), column, noise);
    }
  }
};

// Rows are (group of samples, example): a few examples with many samples still fill the GPU. The first group also
// computes the KL.
template <class T>
struct ReparameterizeForward {
  using Element = T;
  using C = Compute<T>;
  static constexpr int kSums = 1, N = kPack<T>, kResidentBlocks = PosteriorInputs<T>::kResidentBlocks;

  PosteriorInputs<T> inputs;
  NoiseSource<T> noise;
  int64_t batch, samples, samples_per_group;
  T* z;            // [samples, batch, row_length]
  C* kl_elements;  // [batch, row_length], or null when rows are summed

  struct Row {
    typename PosteriorInputs<T>::Row input;
    int64_t example, first_sample, end_sample;
    uint64_t seed;
  };
  __device__ Row row(int64_t row) const {
    const int64_t group = row < batch ? 0 : row / batch, example = row - group * batch;
    const int64_t first = group * samples_per_group;
    return {inputs.row(example), example, first, min(first + samples_per_group, samples), noise.load_seed()};
  }

  template <bool Vectorized>
  __device__ void columns(const Row& row, int64_t column, int valid, C (&sums)[1]) const {
    typename PosteriorInputs<T>::Pack pack;
    inputs.template read<Vectorized>(row.input, column, valid, pack);
    C std[N], kl[N];
    with_scale_kind(inputs.scale_kind, [&](auto kind) {
#pragma unroll
      for (int i = 0; i < N; ++i) {
        const Scale<C> q = expand_scale<decltype(kind)::value>(pack.scale[i]);
        std[i] = q.std;
        kl[i] = inputs.template kl<decltype(kind)::value>(pack, i, q);
      }
    });
    if (row.first_sample == 0) {
      if (kl_elements) store<Vectorized>(kl_elements + row.input.start + column, valid, kl);
#pragma unroll
      for (int i = 0; i < N; ++i) sums[0] += Vectorized || i < valid ? kl[i] : C(0);
    }
    for (int64_t sample = row.first_sample; sample < row.end_sample; ++sample) {
      const int64_t at = sample * batch * inputs.row_length + row.input.start + column;
      C draw[N], value[N];
      noise.template read<Vectorized>(row.seed, row.example, sample, column, at, valid, draw);
#pragma unroll
      for (int i = 0; i < N; ++i) value[i] = reparameterize(pack.mean[i], std[i], pack.scale[i], draw[i]);
      store<Vectorized>(z + at, valid, value);
    }
  }

  Alignment<T> alignment() const { return inputs.alignment().with(noise.given).with(z).with(kl_elements); }
};

// The noise is made again from the seed: z - mean would have lost its digits.
template <class T>
struct ReparameterizeBackward {
  using Element = T;
  using C = Compute<T>;
  static constexpr int kSums = 1, N = kPack<T>, kResidentBlocks = PosteriorInputs<T>::kResidentBlocks;

  PosteriorInputs<T> inputs;
  NoiseSource<T> noise;
  int64_t batch, samples;
  const T* grad_z;   // [samples, batch, row_length] or null
  const C* grad_kl;  // [batch], [batch, row_length] if elementwise_kl, or null
  bool elementwise_kl;
  T* grad_mean;  // [batch, row_length], as the others
  T* grad_scale;
  C* grad_prior_mean;  // or null; still to be summed over the rows that share a prior, so not rounded
  C* grad_prior_logvar;

  struct Row {
    typename PosteriorInputs<T>::Row input;
    int64_t example;
    C grad_kl;
    uint64_t seed;
  };
  __device__ Row row(int64_t row) const {
    return {inputs.row(row), row, grad_kl && !elementwise_kl ? grad_kl[row] : C(0), noise.load_seed()};
  }

  template <bool Vectorized>
  __device__ void columns(const Row& row, int64_t column, int valid, C (&)[1]) const {
    const int64_t at = row.input.start + column;
    C mean_grad[N], std_grad[N];
    sum_samples<Vectorized>(row, column, at, valid, mean_grad, std_grad);
    typename PosteriorInputs<T>::Pack pack;  // read late: the samples need the registers
    inputs.template read<Vectorized>(row.input, column, valid, pack);

    C kl_grad[N], scale_grad[N];
#pragma unroll
    for (int i = 0; i < N; ++i) kl_grad[i] = row.grad_kl;
    if (grad_kl && elementwise_kl) load<Vectorized>(grad_kl + at, valid, kl_grad);
    with_scale_kind(inputs.scale_kind, [&](auto kind) {
#pragma unroll
      for (int i = 0; i < N; ++i) scale_grad[i] = std_grad[i] * std_slope<decltype(kind)::value>(pack.scale[i]);
      if (!grad_kl) return;
#pragma unroll
      for (int i = 0; i < N; ++i)
        scale_grad[i] =
            add_weighted(scale_grad[i], kl_grad[i], inputs.template kl_scale_slope<decltype(kind)::value>(pack, i));
    });
    if (grad_kl) {
#pragma unroll
      for (int i = 0; i < N; ++i) mean_grad[i] = add_weighted(mean_grad[i], kl_grad[i], inputs.kl_mean_slope(pack, i));
    }
    store<Vectorized>(grad_mean + at, valid, mean_grad);
    store<Vectorized>(grad_scale + at, valid, scale_grad);
    if (grad_prior_mean) store_prior_gradients<Vectorized>(pack, kl_grad, at, valid);
  }

  Alignment<T> alignment() const {
    Alignment<T> aligned = inputs.alignment();
    aligned.with(noise.given).with(grad_z).with(grad_mean).with(grad_scale);
    aligned.with(grad_prior_mean).with(grad_prior_logvar);
    if (elementwise_kl) aligned.with(grad_kl);
    return aligned;
  }

  // Sums over the samples, in their order, of grad_z and of grad_z * noise.
  template <bool Vectorized>
  __device__ __forceinline__ void sum_samples(const Row& row, int64_t column, int64_t at, int valid, C (&mean_grad)[N],
                                              C (&std_grad)[N]) const {
#pragma unroll
    for (int i = 0; i < N; ++i) mean_grad[i] = std_grad[i] = C(0);
    if (!grad_z) return;
    for (int64_t sample = 0; sample < samples; ++sample) {
      const int64_t offset = sample * batch * inputs.row_length + at;
      C incoming[N], draw[N];
      load<Vectorized>(grad_z + offset, valid, incoming);
      noise.template read<Vectorized>(row.seed, row.example, sample, column, offset, valid, draw);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        mean_grad[i] += incoming[i];
        std_grad[i] += incoming[i] * draw[i];
      }
    }
  }

  template <bool Vectorized>
  __device__ __forceinline__ void store_prior_gradients(const typename PosteriorInputs<T>::Pack& pack,
                                                        const C (&kl_grad)[N], int64_t at, int valid) const {
    C prior_mean_grad[N], prior_logvar_grad[N];
    with_scale_kind(inputs.scale_kind, [&](auto kind) {
#pragma unroll
      for (int i = 0; i < N; ++i) {
        const Scale<C> q = expand_scale<decltype(kind)::value>(pack.scale[i]);
        const Factors<C> precision = inputs.precision(pack, i);
        const C ratio = variance_ratio<decltype(kind)::value>(q.std, q.logvar, pack.prior_logvar[i], precision);
        const C slope = kl_prior_logvar_slope(pack.mean[i] - pack.prior_mean[i], ratio, precision);
        prior_mean_grad[i] = grad_kl ? -weighted(kl_grad[i], inputs.kl_mean_slope(pack, i)) : C(0);
        prior_logvar_grad[i] = grad_kl ? weighted(kl_grad[i], slope) : C(0);
      }
    });
    store<Vectorized>(grad_prior_mean + at, valid, prior_mean_grad);
    store<Vectorized>(grad_prior_logvar + at, valid, prior_logvar_grad);
  }
};

// Noise alone: [samples, batch, row_length].
struct NoiseBody {
  using Element = float;
  static constexpr int kSums = 1, N = kPack<float>, kResidentBlocks = 4;

  const int64_t* seed;
  int64_t batch, row_length;
  float* noise;

  struct Row {
    int64_t start, example, sample;
    uint64_t seed;
  };
  __device__ Row row(int64_t row) const {
    const int64_t sample = row < batch ? 0 : row / batch;
    return {row * row_length, row - sample * batch, sample, static_cast<uint64_t>(*seed)};
  }

  template <bool Vectorized>
  __device__ void columns(const Row& row, int64_t column, int valid, float (&)[1]) const {
    float values[N];
    generate_noise(row.seed, row.example, static_cast<uint32_t>(row.sample), column, values);
    store<Vectorized>(noise + row.start + column, valid, values);
  }
};

}  // namespace dgf::cuda
