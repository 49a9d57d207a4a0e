// Batch normalization and the activation after it: output = activation((x - mean) * invstd * weight + bias), and its
// backward, per element; the statistics' combination and the coefficients of a channel, in double.
#pragma once

#include "math/activation.h"

namespace dgf {

// ---- statistics of one channel
// ---------------------------------------------------------------------------------------

// Count, mean and sum of squared deviations from it, of some of a channel's numbers.
struct Moments {
  double count, mean, deviations;
};

// From sums of (x - pivot) and (x - pivot)^2. With one of the numbers as the pivot at most a factor of about `count`
// cancels, however far the mean lies from zero.
DGF_HOST_DEVICE Moments moments_about(double count, double pivot, double sum, double squares) {
  if (count == 0.0) return {0.0, 0.0, 0.0};
  const double offset = sum / count;
  const double deviations = squares - sum * offset;
  return {count, pivot + offset, deviations < 0.0 ? 0.0 : deviations};  // NaN stays
}

// Two disjoint parts of a channel (Chan, Golub, LeVeque 1979).
DGF_HOST_DEVICE Moments combine(const Moments& a, const Moments& b) {
  if (a.count == 0.0) return b;
  if (b.count == 0.0) return a;
  const double count = a.count + b.count, difference = b.mean - a.mean;
  return {count, a.mean + difference * (b.count / count),
          a.deviations + b.deviations + difference * difference * (a.count * b.count / count)};
}

// ---- coefficients of one channel, in backward
// ------------------------------------------------------------------------

// With g the gradient of the activation's argument, over the `count` numbers of a channel:
//   sum_g = sum of g, sum_gd = sum of g * (x - mean);  grad_bias = sum_g, grad_weight = sum_gd * invstd.
// Where mean and invstd are functions of x, its gradient is scale * (g - grad_mean - (x - mean) * projection), with
//   scale = invstd * weight, grad_mean = sum_g / count, projection = sum_gd * invstd^2 / count.
DGF_HOST_DEVICE double batch_norm_grad_mean(double sum_g, double count) { return sum_g / count; }
DGF_HOST_DEVICE double batch_norm_projection(double sum_gd, double invstd, double count) {
  return sum_gd * invstd * invstd / count;
}

// ---- one element
// -----------------------------------------------------------------------------------------------------

// What the activation is applied to; scale = invstd * weight. The difference first: x * scale + shift would cancel
// where |mean| is much larger than the standard deviation.
template <class V>
DGF_HOST_DEVICE V batch_norm_argument(V x, V mean, V scale, V bias) {
  return fma(x - mean, scale, bias);
}

template <class V>
DGF_HOST_DEVICE V batch_norm_input_gradient(V g, V x, V mean, V scale, V grad_mean, V projection) {
  return fma(mean - x, projection, g - grad_mean) * scale;
}

}  // namespace dgf
