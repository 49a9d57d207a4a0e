// What the launchers of the two likelihoods share: the same inputs, gradients and row walk, with another kernel.
#pragma once

#include "cpu/launch.h"

namespace dgf {

struct LikelihoodInputs {
  Tensor output, target;
  std::optional<Tensor> logvar, mask;
  int64_t leading;
  Rows view;
  LikelihoodArguments arguments{};
  bool shared_logvar;    // one variance for every pixel: its gradient is a sum
  bool repeated_logvar;  // rows share their variances: the caller sums their gradients, which are not rounded before

  LikelihoodInputs(const Tensor& output_, const Tensor& target_, const std::optional<Tensor>& logvar_,
                   const std::optional<Tensor>& mask_)
      : output(dense(output_)),
        target(dense(target_)),
        logvar(dense(logvar_)),
        mask(dense(mask_)),
        leading(output_.dim() - target_.dim() + 1),
        view(output, leading),
        shared_logvar(logvar && logvar->numel() == 1),
        repeated_logvar(logvar && !shared_logvar && logvar->numel() < output.numel()) {
    arguments.output = output.const_data_ptr();
    arguments.target = target_operand(target, output, view);
    arguments.mask = mask_operand(mask, view);
    arguments.logvar_scalar = shared_logvar;
    STD_TORCH_CHECK(!logvar || logvar->scalar_type() == output.scalar_type(),
                    "deepgen_fast: logvar must have the input's dtype");
    arguments.logvar =
        shared_logvar ? RowOperand{logvar->const_data_ptr(), 1} : row_operand(logvar, output, view, "logvar");
    arguments.columns = view.columns;
  }

  std::vector<int64_t> leading_sizes() const {
    std::vector<int64_t> sizes = sizes_of(output);
    sizes.resize(leading);
    return sizes;
  }
};

// The gradients that are needed, allocated; an empty tensor stands for each of the others.
struct LikelihoodGradients {
  Tensor output, target, logvar;
  std::vector<double> logvar_partial;  // row sums of a shared variance's gradient
  bool shared_logvar = false;

  LikelihoodGradients(const LikelihoodInputs& in, bool need_output, bool need_target, bool need_logvar)
      : output(need_output ? empty_shaped(in.output, in.output.scalar_type()) : nothing(in.output)),
        target(need_target ? empty_shaped(in.output, accumulation_type(in.output)) : nothing(in.output)),
        logvar(!need_logvar       ? nothing(in.output)
               : in.shared_logvar ? empty(in.leading_sizes(), accumulation_type(in.output))
                                  : empty_shaped(in.output, in.repeated_logvar ? accumulation_type(in.output)
                                                                               : in.output.scalar_type())),
        shared_logvar(need_logvar && in.shared_logvar),
        repeated_logvar_(in.repeated_logvar),
        needs_{need_output, need_target, need_logvar} {
    if (shared_logvar) logvar_partial.assign(in.view.rows * chunks_of(in.view.columns), 0.0);
  }

  void bind(LikelihoodArguments& arguments) {
    if (needs_[0]) arguments.grad_output = output.mutable_data_ptr();
    if (needs_[1]) arguments.grad_target = target.mutable_data_ptr();
    if (needs_[2]) arguments.grad_logvar = shared_logvar ? logvar_partial.data() : logvar.mutable_data_ptr();
    arguments.grad_logvar_wide = repeated_logvar_;
  }

  void finish(const LikelihoodInputs& in) {
    if (!shared_logvar) return;
    const int64_t chunks = chunks_of(in.view.columns);
    for (int64_t row = 0; row < in.view.rows; ++row) {
      double sum = 0.0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += logvar_partial[row * chunks + chunk];
      logvar_partial[row] = sum;
    }
    store_rows(logvar_partial, in.view.rows, 1.0, logvar);
  }

 private:
  bool repeated_logvar_, needs_[3];
};

inline Tensor likelihood_values(const LikelihoodInputs& in, bool elementwise, const LikelihoodKernel* by_element) {
  const LikelihoodKernel kernel = by_element[static_cast<int>(element_of(in.output, "input"))];
  const Tensor value = elementwise ? empty_shaped(in.output, accumulation_type(in.output))
                                   : empty(in.leading_sizes(), accumulation_type(in.output));
  LikelihoodArguments arguments = in.arguments;
  if (elementwise) arguments.values = value.mutable_data_ptr();
  const std::vector<double> sums = over_rows(in.view, 1, [&](const Span& span) { kernel(arguments, span); });
  if (!elementwise) store_rows(sums, in.view.rows, 1.0, value);
  return value;
}

inline void likelihood_gradients(const LikelihoodInputs& in, const Tensor& grad, bool elementwise,
                                 LikelihoodGradients& out, const LikelihoodKernel* by_element) {
  const LikelihoodKernel kernel = by_element[static_cast<int>(element_of(in.output, "input"))];
  const Tensor dense_grad = dense(grad);
  STD_TORCH_CHECK(grad.scalar_type() == accumulation_type(in.output),
                  "deepgen_fast: grad must have the accumulation dtype");
  check_numel(grad, elementwise ? in.output.numel() : in.view.rows, "grad");
  LikelihoodArguments arguments = in.arguments;
  arguments.grad = dense_grad.const_data_ptr();
  arguments.grad_elementwise = elementwise;
  out.bind(arguments);
  over_rows(in.view, 1, [&](const Span& span) { kernel(arguments, span); });
  out.finish(in);
}

}  // namespace dgf
