// From the tensors of an operator on the approximate posterior to its kernels' inputs.
#pragma once

#include "cuda/launch.h"
#include "ops/reparameterize_kl/posterior.cuh"

namespace dgf::cuda {

struct PosteriorShape {
  int64_t batch, columns;

  explicit PosteriorShape(const Tensor& mean) : batch(mean.size(0)), columns(1) {
    for (int64_t i = 1; i < mean.dim(); ++i) columns *= mean.size(i);
  }
};

template <class T>
PosteriorInputs<T> posterior_inputs(const Launcher& launcher, const PosteriorShape& shape, const Tensor& mean,
                                    const Tensor& scale, const OptionalTensor& prior_mean,
                                    const OptionalTensor& prior_logvar, int64_t scale_kind) {
  PosteriorInputs<T> inputs{};
  inputs.mean = launcher.input<T>(mean, shape.batch * shape.columns, "mean");
  inputs.scale = launcher.input<T>(scale, shape.batch * shape.columns, "the scale");
  inputs.row_length = shape.columns;
  inputs.prior_mean = launcher.operand<T>(prior_mean, shape.batch, shape.columns, "prior_mean");
  inputs.prior_logvar = launcher.operand<T>(prior_logvar, shape.batch, shape.columns, "prior_logvar");
  inputs.scale_kind = static_cast<int>(scale_kind);
  return inputs;
}

}  // namespace dgf::cuda
