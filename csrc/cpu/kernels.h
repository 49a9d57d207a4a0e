// What the launchers (compiled once, with torch) and the kernels (compiled once per instruction set, without) share:
// plain argument structs and a table of entry points.
#pragma once

#include <cstdint>

namespace dgf {

struct BFloat16 {
  uint16_t raw;
};
struct Half {
  uint16_t raw;
};

enum class Element : int { kFloat, kDouble, kBFloat16, kHalf };
constexpr int kElements = 4;

enum class TargetKind : int { kSame, kFloat, kByte };

// A tensor of `rows` rows that repeats: row r of the decoder output meets row r % rows.
struct Target {
  const void* data;
  int64_t rows;
  TargetKind kind;
};
struct RowOperand {
  const void* data;  // null when the option is not used
  int64_t rows;
};

// The part of the row view that one call works on. Row sums go to partial[row * chunks + chunk].
struct Span {
  int64_t row_begin, row_end, column_begin, column_end;
  int64_t chunk, chunks;
  double* partial;
};

struct LikelihoodArguments {
  const void* output;  // logits or mean, [rows, columns]
  Target target;
  RowOperand logvar;  // Gaussian only; null data: unit variance
  bool logvar_scalar;
  RowOperand mask;
  int64_t columns;
  // Gradients: incoming, in the accumulation type.
  const void* grad;
  bool grad_elementwise;
  double grad_scale;  // used in place of grad when it is null
  // Outputs; null when not needed. values and grad_target are of the accumulation type.
  void* values;
  void* grad_output;
  void* grad_target;
  void* grad_logvar;      // full rows; for a shared scalar only row sums, through partial
  bool grad_logvar_wide;  // rows still to be summed: of the accumulation type, in place of the input's
};

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

using LikelihoodKernel = void (*)(const LikelihoodArguments&, const Span&);
using PosteriorKernel = void (*)(const PosteriorArguments&, const Span&);

struct CpuKernels {
  const char* name;
  LikelihoodKernel bernoulli[kElements];                // row sums, or values
  LikelihoodKernel bernoulli_backward[kElements];       // gradients
  LikelihoodKernel bernoulli_with_gradient[kElements];  // row sums and gradients in one pass
  LikelihoodKernel gaussian[kElements];
  LikelihoodKernel gaussian_backward[kElements];
  LikelihoodKernel gaussian_with_gradient[kElements];
  PosteriorKernel reparameterize_kl[kElements];           // z and KL
  PosteriorKernel reparameterize_kl_backward[kElements];  // gradients
  PosteriorKernel kl_with_gradient[kElements];            // KL row sums and gradients in one pass, no z
  // float noise of examples [begin, end) of one sample.
  void (*philox_normal)(uint64_t seed, int64_t sample, int64_t begin, int64_t end, int64_t columns, float* noise);
};

const CpuKernels* kernels_avx2();
const CpuKernels* kernels_avx512();
const CpuKernels* kernels_neon();

// The best set that this processor runs, or the one forced by DEEPGEN_FAST_ISA; null when there is none.
const CpuKernels* cpu_kernels();

}  // namespace dgf
