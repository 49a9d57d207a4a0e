// From the tensors of a likelihood operator to its kernels, whatever the likelihood.
#pragma once

#include "cuda/launch.h"
#include "cuda/likelihood.cuh"

namespace dgf::cuda {

// Decoder output [(M,) B, *event] against target [B, *event].
struct LikelihoodShape {
  std::vector<int64_t> full, leading;
  int64_t rows = 1, columns = 1;

  LikelihoodShape(const Tensor& output, const Tensor& target) : full(sizes_of(output)) {
    const int64_t event_dims = target.dim() - 1;
    leading.assign(full.begin(), full.end() - event_dims);
    for (int64_t size : leading) rows *= size;
    for (int64_t i = output.dim() - event_dims; i < output.dim(); ++i) columns *= full[i];
  }
  std::vector<int64_t> full_if(bool needed) const { return needed ? full : std::vector<int64_t>{0}; }
};

// A body with its inputs set, and no outputs.
template <class Body>
Body likelihood_body(const Launcher& launcher, const LikelihoodShape& shape, const Tensor& output, const Tensor& target,
                     const OptionalTensor& logvar, const OptionalTensor& mask) {
  using T = typename Body::Element;
  Body body{};
  body.output = launcher.input<T>(output, shape.rows * shape.columns, "the decoder output");
  body.row_length = shape.columns;
  body.target = launcher.operand<T>(target, shape.rows, shape.columns, "target", true);
  body.mask = launcher.operand<bool>(mask, shape.rows, shape.columns, "mask");
  body.shared_logvar = logvar.has_value() && logvar->numel() == 1;
  body.logvar = launcher.operand<T>(logvar, body.shared_logvar ? 1 : shape.rows, body.shared_logvar ? 1 : shape.columns,
                                    "logvar");
  return body;
}

template <class Formula>
Tensor likelihood(const Tensor& output, const Tensor& target, const OptionalTensor& logvar, const OptionalTensor& mask,
                  bool elementwise) {
  const LikelihoodShape shape(output, target);
  return dispatch_floating(output, "the decoder output", [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    const Launcher launcher(output);
    const Tensor value = new_tensor(output, elementwise ? shape.full : shape.leading, kScalarType<C>);
    auto body = likelihood_body<LikelihoodBody<T, Formula, true, false>>(launcher, shape, output, target, logvar, mask);
    body.values = elementwise ? mutable_data<C>(value) : nullptr;
    run_rows(launcher, body, shape.rows, shape.columns, bool(body.alignment()),
             elementwise ? nullptr : mutable_data<C>(value));
    return value;
  });
}

struct LikelihoodGradients {
  Tensor output, target, logvar;
};

template <class Formula>
LikelihoodGradients likelihood_backward(const Tensor& grad, const Tensor& output, const Tensor& target,
                                        const OptionalTensor& logvar, const OptionalTensor& mask, bool elementwise,
                                        bool need_output, bool need_target, bool need_logvar) {
  const LikelihoodShape shape(output, target);
  return dispatch_floating(output, "the decoder output", [&](auto type) -> LikelihoodGradients {
    using T = decltype(type);
    using C = Compute<T>;
    const Launcher launcher(output);
    auto body = likelihood_body<LikelihoodBody<T, Formula, false, true>>(launcher, shape, output, target, logvar, mask);
    const bool row_logvar = need_logvar && body.shared_logvar, full_logvar = need_logvar && !body.shared_logvar;
    const bool wide_logvar = full_logvar && logvar->numel() < shape.rows * shape.columns;
    const LikelihoodGradients gradients{new_tensor(output, shape.full_if(need_output), kScalarType<T>),
                                        new_tensor(output, shape.full_if(need_target), kScalarType<C>),
                                        new_tensor(output, row_logvar ? shape.leading : shape.full_if(full_logvar),
                                                   row_logvar || wide_logvar ? kScalarType<C> : kScalarType<T>)};
    body.grad = launcher.input<C>(grad, elementwise ? shape.rows * shape.columns : shape.rows, "grad");
    body.grad_elementwise = elementwise;
    body.grad_output = need_output ? mutable_data<T>(gradients.output) : nullptr;
    body.grad_target = need_target ? mutable_data<C>(gradients.target) : nullptr;
    if (wide_logvar) {
      body.grad_logvar_wide = mutable_data<C>(gradients.logvar);
    } else if (full_logvar) {
      body.grad_logvar = mutable_data<T>(gradients.logvar);
    }
    run_rows(launcher, body, shape.rows, shape.columns, bool(body.alignment()),
             row_logvar ? mutable_data<C>(gradients.logvar) : nullptr);
    return gradients;
  });
}

}  // namespace dgf::cuda
