#include "cuda/launch.h"
#include "ops/minibatch_discrimination/kernels.cuh"

namespace dgf::cuda {
namespace {

MinibatchShape shape_of(const Tensor& features, bool include_self) {
  STD_TORCH_CHECK(features.dim() == 3, "deepgen_fast (cuda): features must have shape [batch, kernels, dims], got ",
                  features.dim(), " dimensions");
  return {features.size(0), features.size(1), features.size(2), include_self};
}

// Calls run(size), a constant: dimensions that a thread holds at a time. In double, 16 of them spill registers.
template <class T, class Run>
void with_dims(int64_t dims, Run&& run) {
  if constexpr (sizeof(T) < sizeof(double))
    if (dims > 8) return run(std::integral_constant<int, 16>{});
  run(std::integral_constant<int, 8>{});
}

Tensor minibatch_discrimination(const Tensor& features, bool include_self) {
  const MinibatchShape shape = shape_of(features, include_self);
  return dispatch_floating(features, "features", [&](auto type) {
    using T = decltype(type);
    const Launcher launcher(features);
    const Tensor sums = new_tensor(features, {shape.batch, shape.kernels}, kScalarType<Compute<T>>);
    const T* in = launcher.input<T>(features, features.numel(), "features");
    auto* out = mutable_data<Compute<T>>(sums);
    const int64_t blocks = shape.example_tiles() * shape.kernel_tiles();
    if (blocks)
      with_dims<T>(shape.dims, [&](auto size) {
        launcher.launch(&similarities_kernel<size(), T>, blocks, kMinibatchThreads, shape, in, out);
      });
    return sums;
  });
}

Tensor minibatch_discrimination_backward(const Tensor& grad, const Tensor& features, bool include_self) {
  const MinibatchShape shape = shape_of(features, include_self);
  STD_TORCH_CHECK(grad.dim() == 2 && grad.size(0) == shape.batch && grad.size(1) == shape.kernels,
                  "deepgen_fast (cuda): grad must have shape [batch, kernels] = [", shape.batch, ", ", shape.kernels,
                  "]");
  return dispatch_floating(features, "features", [&](auto type) {
    using T = decltype(type);
    const Launcher launcher(features);
    const Tensor grad_features = new_tensor(features, sizes_of(features), kScalarType<T>);
    const T* in = launcher.input<T>(features, features.numel(), "features");
    const auto* incoming = launcher.input<Compute<T>>(grad, grad.numel(), "grad");
    T* out = mutable_data<T>(grad_features);
    with_dims<T>(shape.dims, [&](auto size) {
      const int64_t blocks = shape.example_tiles() * shape.kernel_tiles() * shape.chunks(size());
      if (blocks)
        launcher.launch(&similarity_gradients_kernel<size(), T>, blocks, kMinibatchThreads, shape, in, incoming, out);
    });
    return grad_features;
  });
}

DGF_CUDA_LIBRARY(m) {
  m.impl("minibatch_discrimination", TORCH_BOX(&minibatch_discrimination));
  m.impl("minibatch_discrimination_backward", TORCH_BOX(&minibatch_discrimination_backward));
}

}  // namespace
}  // namespace dgf::cuda
