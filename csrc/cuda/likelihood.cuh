// The CUDA body (cuda_rows.cuh) that every likelihood shares: value, gradients, or both in one pass over memory.
// What distinguishes a likelihood is its Formula, in ops/<op>/formula.cuh:
//   static constexpr bool kLogvar                         whether it has a log-variance
//   static Factors<C> precision(C logvar)               if so
//   static C value(output, target, logvar, precision)
//   static Slopes<C> slopes(output, target, precision)  derivatives by decoder output, target and log-variance
#pragma once

#include "cuda/rows.cuh"
#include "math/weighted.h"

namespace dgf::cuda {

template <class C>
struct Slopes {
  C output, target, logvar;
};

template <class T, class Formula, bool kValue, bool kGradient>
struct LikelihoodBody {
  using Element = T;
  using C = Compute<T>;
  static constexpr int N = kPack<T>;
  static constexpr bool kLogvarGradient = kGradient && Formula::kLogvar;
  // The value's sum, then the sum of the log-variance's gradient (wanted when one log-variance serves all).
  static constexpr int kSums = kValue && kLogvarGradient ? 2 : 1;
  static constexpr int kLogvarSum = kSums - 1;
  // The most that leaves no kernel with spilled registers.
  static constexpr int kResidentBlocks = sizeof(T) == 4                                                 ? 4
                                         : sizeof(T) == 2 && !kLogvarGradient && !(kValue && kGradient) ? 3
                                                                                                        : 2;

  const T* output;  // logits or mean, [rows, row_length]
  int64_t row_length;
  Operand target, mask;
  Operand logvar;      // absent: unit variance
  bool shared_logvar;  // the log-variance is one number

  C* values;  // [rows, row_length], or null when only sums are wanted

  const C* grad;  // [rows], [rows, row_length] if grad_elementwise, or null for grad_scale throughout
  C grad_scale;
  const C* grad_loss;  // one number that grad_scale is multiplied by, or null
  bool grad_elementwise;
  T* grad_output;  // [rows, row_length] or null, as the other gradients
  C* grad_target;
  T* grad_logvar;       // not for a shared log-variance
  C* grad_logvar_wide;  // in its place where rows share log-variances: still to be summed, not rounded before

  struct Row {
    int64_t start, target, mask, logvar;
    C grad, shared_logvar;
    Factors<C> precision;
  };

  __device__ Row row(int64_t row) const {
    Row state{row * row_length, row_offset(target, row, row_length), row_offset(mask, row, row_length), 0, C(0), C(0),
              {C(1), C(1)}};
    if constexpr (kGradient)
      if (!grad_elementwise) state.grad = grad ? grad[row] : grad_loss ? grad_scale * *grad_loss : grad_scale;
    if constexpr (Formula::kLogvar) {
      if (shared_logvar) {
        state.shared_logvar = static_cast<C>(*static_cast<const T*>(logvar.data));
        state.precision = Formula::precision(state.shared_logvar);
      } else {
        state.logvar = row_offset(logvar, row, row_length);
      }
    }
    return state;
  }

  template <bool Vectorized>
  __device__ void columns(const Row& row, int64_t column, int valid, C (&sums)[kSums]) const {
    const int64_t at = row.start + column;
    C found[N], pixel[N], log_variance[N], incoming[N];
    bool keep[N];
    const bool pixel_logvar = Formula::kLogvar && logvar && !shared_logvar;
    // All reads come before the arithmetic, so that they are in flight together.
    load<Vectorized>(output + at, valid, found);
    load<Vectorized, T>(target, row.target + column, valid, pixel);
    if (pixel_logvar) load<Vectorized>(static_cast<const T*>(logvar.data) + row.logvar + column, valid, log_variance);
    if (kGradient && grad_elementwise) load<Vectorized>(grad + at, valid, incoming);
    load_mask<Vectorized>(mask, row.mask + column, valid, keep);

    C value[N], output_slope[N], target_slope[N], logvar_slope[N];
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const C lv = pixel_logvar ? log_variance[i] : row.shared_logvar;
      Factors<C> precision = row.precision;
      if constexpr (Formula::kLogvar)
        if (pixel_logvar) precision = Formula::precision(lv);
      if constexpr (kValue) {
        const C term = Formula::value(found[i], pixel[i], lv, precision);
        value[i] = keep[i] ? term : C(0);
        sums[0] += value[i];
      }
      if constexpr (kGradient) {
        const C weight = grad_elementwise ? incoming[i] : row.grad;
        const Slopes<C> slopes = Formula::slopes(found[i], pixel[i], precision);
        output_slope[i] = keep[i] ? weighted(weight, slopes.output) : C(0);
        target_slope[i] = keep[i] ? weighted(weight, slopes.target) : C(0);
        logvar_slope[i] = keep[i] ? weighted(weight, slopes.logvar) : C(0);
        if constexpr (kLogvarGradient) sums[kLogvarSum] += logvar_slope[i];
      }
    }
    if constexpr (kValue)
      if (values) store<Vectorized>(values + at, valid, value);
    if constexpr (kGradient) {
      if (grad_output) store<Vectorized>(grad_output + at, valid, output_slope);
      if (grad_target) store<Vectorized>(grad_target + at, valid, target_slope);
      if constexpr (kLogvarGradient) {
        if (grad_logvar) store<Vectorized>(grad_logvar + at, valid, logvar_slope);
        if (grad_logvar_wide) store<Vectorized>(grad_logvar_wide + at, valid, logvar_slope);
      }
    }
  }

  Alignment<T> alignment() const {
    Alignment<T> aligned(row_length);
    aligned.with(output).with(target).with(mask).with(values).with(grad_output).with(grad_target).with(grad_logvar);
    aligned.with(grad_logvar_wide);
    if (!shared_logvar) aligned.with(logvar);
    if (grad_elementwise) aligned.with(grad);
    return aligned;
  }
};

}  // namespace dgf::cuda
