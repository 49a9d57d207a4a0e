// CUDA bodies (cuda/rows.cuh) of negative_elbo; the pixels take the likelihoods' own (cuda_likelihood.cuh).
#pragma once

#include "ops/reparameterize_kl/posterior.cuh"

namespace dgf::cuda {

// KL of the approximate posterior and, if asked for, its gradients, in one pass over mean and scale.
template <class T>
struct KlBody {
  using Element = T;
  using C = Compute<T>;
  static constexpr int kSums = 1, N = kPack<T>, kResidentBlocks = PosteriorInputs<T>::kResidentBlocks;

  PosteriorInputs<T> inputs;
  C* kl_elements;  // [batch, row_length] or null
  T* grad_mean;    // [batch, row_length], or null as grad_scale then
  T* grad_scale;
  C weight;               // of every KL in the loss
  const C* grad_loss;     // one number that the weight of a gradient is multiplied by, or null
  const C* column_means;  // [row_length], with free bits, else null
  C free_bits;

  struct Row {
    typename PosteriorInputs<T>::Row input;
    C weight;
  };
  __device__ Row row(int64_t row) const { return {inputs.row(row), grad_loss ? weight * *grad_loss : weight}; }

  template <bool Vectorized>
  __device__ void columns(const Row& row, int64_t column, int valid, C (&sums)[1]) const {
    typename PosteriorInputs<T>::Pack pack;
    inputs.template read<Vectorized>(row.input, column, valid, pack);
    C kl[N], mean_grad[N], scale_grad[N], incoming[N];
#pragma unroll
    for (int i = 0; i < N; ++i) incoming[i] = row.weight;
    if (column_means) {
      C means[N];
      load<Vectorized>(column_means + column, valid, means);
      // A latent dimension below its free bits costs a constant; at them it does not, as clamp has it in torch.
#pragma unroll
      for (int i = 0; i < N; ++i) incoming[i] = means[i] >= free_bits ? row.weight : C(0);
    }
    with_scale_kind(inputs.scale_kind, [&](auto kind) {
#pragma unroll
      for (int i = 0; i < N; ++i) {
        kl[i] = inputs.template kl<decltype(kind)::value>(pack, i, expand_scale<decltype(kind)::value>(pack.scale[i]));
        sums[0] += Vectorized || i < valid ? kl[i] : C(0);
        scale_grad[i] = weighted(incoming[i], inputs.template kl_scale_slope<decltype(kind)::value>(pack, i));
        mean_grad[i] = weighted(incoming[i], inputs.kl_mean_slope(pack, i));
      }
    });
    if (kl_elements) store<Vectorized>(kl_elements + row.input.start + column, valid, kl);
    if (grad_mean) {
      store<Vectorized>(grad_mean + row.input.start + column, valid, mean_grad);
      store<Vectorized>(grad_scale + row.input.start + column, valid, scale_grad);
    }
  }

  Alignment<T> alignment() const {
    return inputs.alignment().with(kl_elements).with(grad_mean).with(grad_scale).with(column_means);
  }
};

// One row: the KL averaged over the batch, a column each, turned from sums into means; adds up what the loss charges.
template <class C>
struct FreeBitsBody {
  using Element = C;
  static constexpr int kSums = 1, N = kPack<C>, kResidentBlocks = 2;

  C* columns_;  // [row_length]: sums in, means out
  C batch, free_bits;

  struct Row {};
  __device__ Row row(int64_t) const { return {}; }

  template <bool Vectorized>
  __device__ void columns(const Row&, int64_t column, int valid, C (&sums)[1]) const {
    C mean[N];
    load<false>(columns_ + column, valid, mean);  // not through the read-only cache: written below
#pragma unroll
    for (int i = 0; i < N; ++i) {
      mean[i] = mean[i] / batch;
      if (i < valid) sums[0] += mean[i] < free_bits ? free_bits : mean[i];
    }
    store<Vectorized>(columns_ + column, valid, mean);
  }
};

// One row with a column an example: averages the log-likelihood over the samples and adds up the loss.
template <class C>
struct LossBody {
  using Element = C;
  static constexpr int kSums = 1, N = kPack<C>, kResidentBlocks = 2;

  const C* sample_log_likelihood;  // [samples, batch]
  const C* kl;                     // [batch]
  const C* penalty;                // the KL term with free bits, else null
  int64_t batch, samples;
  C weight, kl_weight, penalty_weight;
  C* log_likelihood;  // [batch]

  struct Row {};
  __device__ Row row(int64_t) const { return {}; }

  template <bool Vectorized>
  __device__ void columns(const Row&, int64_t column, int valid, C (&sums)[1]) const {
    C total[N] = {}, divergence[N];
    for (int64_t sample = 0; sample < samples; ++sample) {
      C values[N];
      load<Vectorized>(sample_log_likelihood + sample * batch + column, valid, values);
#pragma unroll
      for (int i = 0; i < N; ++i) total[i] += values[i];
    }
    load<Vectorized>(kl + column, valid, divergence);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      total[i] /= static_cast<C>(samples);
      sums[0] += (penalty ? C(0) : weighted(kl_weight, divergence[i])) - weight * total[i];
    }
    if (penalty && column == 0) sums[0] += weighted(penalty_weight, *penalty);
    store<Vectorized>(log_likelihood + column, valid, total);
  }
};

}  // namespace dgf::cuda
