#include "cuda/likelihood_call.h"
#include "ops/bernoulli_log_likelihood/formula.cuh"

namespace dgf::cuda {
namespace {

Tensor bernoulli_log_likelihood(const Tensor& logits, const Tensor& target, const OptionalTensor& mask,
                                bool elementwise) {
  return likelihood<BernoulliFormula>(logits, target, std::nullopt, mask, elementwise);
}

std::tuple<Tensor, Tensor> bernoulli_log_likelihood_backward(const Tensor& grad, const Tensor& logits,
                                                             const Tensor& target, const OptionalTensor& mask,
                                                             bool elementwise, bool need_logits, bool need_target) {
  const auto gradients = likelihood_backward<BernoulliFormula>(grad, logits, target, std::nullopt, mask, elementwise,
                                                               need_logits, need_target, false);
  return {gradients.output, gradients.target};
}

DGF_CUDA_LIBRARY(m) {
  m.impl("bernoulli_log_likelihood", TORCH_BOX(&bernoulli_log_likelihood));
  m.impl("bernoulli_log_likelihood_backward", TORCH_BOX(&bernoulli_log_likelihood_backward));
}

}  // namespace
}  // namespace dgf::cuda
