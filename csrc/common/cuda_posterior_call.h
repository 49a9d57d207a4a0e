// From the tensors of an operator on the approximate posterior to its kernels' inputs.
#pragma once

#include "common/cuda_launch.h"
#include "common/cuda_posterior.cuh"

namespace dgf::cuda {

struct PosteriorShape {
  int64_t batch, columns;

  explicit PosteriorShape(const Tensor& mean) : batch(mean.size(0)), columns(1) {
    for (int64_t i = 1; i < mean.dim(); ++i) columns *= mean.size(i);
  }
};

template <class T>
PosteriorInputs<T> posterior_inputs(const PosteriorShape& shape, const Tensor& mean, const Tensor& scale,
                                    const OptionalTensor& prior_mean, const OptionalTensor& prior_logvar,
                                    int64_t scale_kind) {
  PosteriorInputs<T> inputs{};
  inputs.mean = const_data<T>(mean);
  inputs.scale = const_data<T>(scale);
  inputs.row_length = shape.columns;
  inputs.prior_mean = operand<T>(prior_mean, shape.columns, "prior_mean");
  inputs.prior_logvar = operand<T>(prior_logvar, shape.columns, "prior_logvar");
  inputs.scale_kind = static_cast<int>(scale_kind);
  const auto readable = [](const Operand& prior) { return !prior || prior.kind == Kind::kSame; };
  STD_TORCH_CHECK(readable(inputs.prior_mean) && readable(inputs.prior_logvar),
                  "deepgen_fast (cuda): prior_mean and prior_logvar must have the dtype of mean");
  return inputs;
}

}  // namespace dgf::cuda
