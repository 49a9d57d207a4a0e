// Schema and CPU launchers of gaussian_log_likelihood.
#include <torch/csrc/stable/library.h>

#include "cpu/likelihood_launch.h"
#include "ops/gaussian_log_likelihood/arguments.h"

namespace dgf {
namespace {

Tensor gaussian_log_likelihood(const Tensor& mean, const Tensor& target, std::optional<Tensor> logvar,
                               std::optional<Tensor> mask, bool elementwise) {
  const LikelihoodInputs in(mean, target, logvar, mask);
  return likelihood_values(in, elementwise, gaussian_kernels().values);
}

std::tuple<Tensor, Tensor, Tensor> gaussian_log_likelihood_backward(const Tensor& grad, const Tensor& mean,
                                                                    const Tensor& target, std::optional<Tensor> logvar,
                                                                    std::optional<Tensor> mask, bool elementwise,
                                                                    bool need_mean, bool need_target,
                                                                    bool need_logvar) {
  const LikelihoodInputs in(mean, target, logvar, mask);
  LikelihoodGradients out(in, need_mean, need_target, need_logvar);
  likelihood_gradients(in, grad, elementwise, out, gaussian_kernels().gradients);
  return {out.output, out.target, out.logvar};
}

}  // namespace

const LikelihoodKernels& gaussian_kernels() {
  static const auto& found = choose_kernels<LikelihoodKernels>({gaussian_avx2(), gaussian_avx512(), gaussian_neon()});
  return found;
}

STABLE_TORCH_LIBRARY_FRAGMENT(deepgen_fast, m) {
  m.def(
      "gaussian_log_likelihood(Tensor mean, Tensor target, Tensor? logvar, Tensor? mask, bool elementwise) -> Tensor");
  m.def(
      "gaussian_log_likelihood_backward(Tensor grad, Tensor mean, Tensor target, Tensor? logvar, Tensor? mask, "
      "bool elementwise, bool need_mean, bool need_target, bool need_logvar) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(deepgen_fast, CPU, m) {
  m.impl("gaussian_log_likelihood", TORCH_BOX(&gaussian_log_likelihood));
  m.impl("gaussian_log_likelihood_backward", TORCH_BOX(&gaussian_log_likelihood_backward));
}

}  // namespace dgf
