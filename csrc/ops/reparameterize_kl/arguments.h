// What the launchers of reparameterize_kl and negative_elbo hand to the kernels.
#pragma once

#include "cpu/kernels.h"

namespace dgf {

struct PosteriorArguments {
  const void* mean;
  const void* scale;
  RowOperand prior_mean, prior_logvar;
  const void* noise;  // null: generated from seed
  uint64_t seed;
  int64_t batch, columns, samples;
  int scale_kind;
  // Forward.
  void* z;
  void* kl_values;  // per element, accumulation type; null: only row sums, through partial
  // Backward; incoming gradients may be null.
  const void* grad_z;
  const void* grad_kl;
  bool grad_kl_elementwise;
  double grad_kl_scale;           // used in place of grad_kl when it is null
  const uint8_t* grad_kl_active;  // per column: 0 where free bits hold the gradient back; null: all active
  void* grad_mean;
  void* grad_scale;
  void* grad_prior_mean;  // still to be summed over the rows that share a prior: of the accumulation type
  void* grad_prior_logvar;
};

using PosteriorKernel = void (*)(const PosteriorArguments&, const Span&);

struct ReparameterizeKernels {
  const char* name;
  PosteriorKernel forward[kElements];           // z and KL
  PosteriorKernel backward[kElements];          // gradients
  PosteriorKernel kl_with_gradient[kElements];  // KL row sums and gradients in one pass, no z
  // float noise of examples [begin, end) of one sample.
  void (*philox_normal)(uint64_t seed, int64_t sample, int64_t begin, int64_t end, int64_t columns, float* noise);
};

const ReparameterizeKernels* reparameterize_kl_avx2();
const ReparameterizeKernels* reparameterize_kl_avx512();
const ReparameterizeKernels* reparameterize_kl_neon();

const ReparameterizeKernels& reparameterize_kl_kernels();  // of the set in use

}  // namespace dgf
