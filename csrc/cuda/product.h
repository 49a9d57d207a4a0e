// Large matrix products, by the library that torch uses for them, and the memory they pass through.
#pragma once

#include <array>

#include "cuda/launch.h"

namespace dgf::cuda {

// out [n, rows, columns] = left [n, rows, depth] right [n, depth, columns]. Views with other strides are taken as they
// are. The variant with an output argument: autocast leaves it alone.
inline void multiply(const Tensor& left, const Tensor& right, const Tensor& out) {
  using torch::stable::detail::from;
  std::array<StableIValue, 3> stack{from(left), from(right), from(out)};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::bmm", "out", stack.data(), TORCH_ABI_VERSION));
  torch::stable::detail::to<Tensor>(stack[0]);  // takes over the reference that the call returned
}

// An image batch [N, C, H, W] as a matrix [1, N * H * W, C]; a copy only if its channels do not lie side by side.
inline Tensor pixel_matrix(const Tensor& images) {
  const Tensor pixels = torch::stable::transpose(torch::stable::transpose(images, 1, 2), 2, 3);
  return torch::stable::reshape(pixels, {1, images.size(0) * images.size(2) * images.size(3), images.size(1)});
}

// Memory that successive tensors of one call share: each overwrites the last.
class Workspace {
 public:
  Workspace(const Tensor& on, int64_t count, ScalarType type) : memory_(new_tensor(on, {count}, type)) {}

  Tensor shaped(const std::vector<int64_t>& sizes) {
    int64_t count = 1;
    for (int64_t size : sizes) count *= size;
    return torch::stable::view(torch::stable::narrow(memory_, 0, 0, count), sizes);
  }

 private:
  Tensor memory_;
};

}  // namespace dgf::cuda
