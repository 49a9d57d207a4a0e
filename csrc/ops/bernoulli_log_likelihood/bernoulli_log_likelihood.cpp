// Schema and CPU launchers of bernoulli_log_likelihood.
#include <torch/csrc/stable/library.h>

#include "cpu/likelihood_launch.h"
#include "ops/bernoulli_log_likelihood/arguments.h"

namespace dgf {
namespace {

Tensor bernoulli_log_likelihood(const Tensor& logits, const Tensor& target, std::optional<Tensor> mask,
                                bool elementwise) {
  const LikelihoodInputs in(logits, target, std::nullopt, mask);
  return likelihood_values(in, elementwise, bernoulli_kernels().values);
}

std::tuple<Tensor, Tensor> bernoulli_log_likelihood_backward(const Tensor& grad, const Tensor& logits,
                                                             const Tensor& target, std::optional<Tensor> mask,
                                                             bool elementwise, bool need_logits, bool need_target) {
  const LikelihoodInputs in(logits, target, std::nullopt, mask);
  LikelihoodGradients out(in, need_logits, need_target, false);
  likelihood_gradients(in, grad, elementwise, out, bernoulli_kernels().gradients);
  return {out.output, out.target};
}

}  // namespace

const LikelihoodKernels& bernoulli_kernels() {
  static const auto& found =
      choose_kernels<LikelihoodKernels>({bernoulli_avx2(), bernoulli_avx512(), bernoulli_neon()});
  return found;
}

STABLE_TORCH_LIBRARY_FRAGMENT(deepgen_fast, m) {
  m.def("bernoulli_log_likelihood(Tensor logits, Tensor target, Tensor? mask, bool elementwise) -> Tensor");
  m.def(
      "bernoulli_log_likelihood_backward(Tensor grad, Tensor logits, Tensor target, Tensor? mask, bool elementwise, "
      "bool need_logits, bool need_target) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(deepgen_fast, CPU, m) {
  m.impl("bernoulli_log_likelihood", TORCH_BOX(&bernoulli_log_likelihood));
  m.impl("bernoulli_log_likelihood_backward", TORCH_BOX(&bernoulli_log_likelihood_backward));
}

}  // namespace dgf
