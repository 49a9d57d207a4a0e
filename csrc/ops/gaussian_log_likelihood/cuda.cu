#include "cuda/likelihood_call.h"
#include "ops/gaussian_log_likelihood/formula.cuh"

namespace dgf::cuda {
namespace {

Tensor gaussian_log_likelihood(const Tensor& mean, const Tensor& target, const OptionalTensor& logvar,
                               const OptionalTensor& mask, bool elementwise) {
  return likelihood<GaussianFormula>(mean, target, logvar, mask, elementwise);
}

std::tuple<Tensor, Tensor, Tensor> gaussian_log_likelihood_backward(const Tensor& grad, const Tensor& mean,
                                                                    const Tensor& target, const OptionalTensor& logvar,
                                                                    const OptionalTensor& mask, bool elementwise,
                                                                    bool need_mean, bool need_target,
                                                                    bool need_logvar) {
  const auto gradients = likelihood_backward<GaussianFormula>(grad, mean, target, logvar, mask, elementwise, need_mean,
                                                              need_target, need_logvar);
  return {gradients.output, gradients.target, gradients.logvar};
}

DGF_CUDA_LIBRARY(m) {
  m.impl("gaussian_log_likelihood", TORCH_BOX(&gaussian_log_likelihood));
  m.impl("gaussian_log_likelihood_backward", TORCH_BOX(&gaussian_log_likelihood_backward));
}

}  // namespace
}  // namespace dgf::cuda
