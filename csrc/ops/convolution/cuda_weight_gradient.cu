#include "ops/convolution/cuda_call.h"

namespace dgf::cuda {
namespace {

Tensor conv2d_weight_gradient(const Tensor& small_image, const Tensor& large_image, int64_t kernel, int64_t stride,
                              int64_t padding) {
  check_image(small_image, "small");
  check_image(large_image, "large");
  const ImageSize small(small_image), large(large_image);
  STD_TORCH_CHECK(small.batch == large.batch, "deepgen_fast (cuda): small and large must have one batch size");
  const Launcher launcher(small_image);
  return with_geometry(kernel, stride, padding, [&](auto geometry) {
    using Shape = decltype(geometry);
    const auto check_size = [&](int64_t size, int64_t large_size) {
      STD_TORCH_CHECK(size == (large_size + 2 * padding - kernel) / stride + 1, "deepgen_fast (cuda): small of size ",
                      size, " does not fit large of size ", large_size);
    };
    check_size(small.height, large.height);
    check_size(small.width, large.width);
    const int64_t products = Shape::group_products, columns = Shape::group_phases * large.channels;
    const std::vector<int64_t> sizes{small.channels, large.channels, kernel, kernel};
    const float* small_data = launcher.pixels<float>(small_image, "small");
    const float* large_data = launcher.pixels<float>(large_image, "large");
    const Tiling tiling(small.batch, small.height, small.width, products * (small.channels + columns));
    if (tiling.count == 0 || small.channels * large.channels == 0) {
      Tensor nothing = new_tensor(small_image, sizes, ScalarType::Float);
      return torch::stable::zero_(nothing);
    }
    Workspace tiles_memory(small_image, products * tiling.chunk * small.channels, ScalarType::Float);
    Workspace windows_memory(small_image, products * tiling.chunk * columns, ScalarType::Float);
    const Tensor gradients = new_tensor(small_image, {products, small.channels, columns}, ScalarType::Float);
    // The sum over chunks so far, and the next: what a kernel reads, it does not write.
    std::vector<Tensor> sums;
    tiling.over_chunks([&](const TileRange& tiles) {
      const Tensor left = tiles_memory.shaped({products, tiles.count, small.channels});
      const Tensor right = windows_memory.shaped({products, tiles.count, columns});
      small_tiles<Shape>(launcher, small_data, small, tiles, mutable_data<float>(left));
      large_windows<Shape>(launcher, large_data, large, tiles, mutable_data<float>(right));
      multiply(torch::stable::transpose(left, 1, 2), right, gradients);
      if (sums.size() < 2) {
        sums.push_back(new_tensor(small_image, sizes, ScalarType::Float));
      } else {
        std::swap(sums.front(), sums.back());
      }
      const float* before = tiles.first > 0 ? mutable_data<float>(sums.front()) : nullptr;
      float* sum = mutable_data<float>(sums.back());
      const int pack = pack_of(large.channels, sum);
      auto* kernel = pack == kWide ? &weight_gradient_kernel<kWide, Shape> : &weight_gradient_kernel<1, Shape>;
      const int64_t units = small.channels * large.channels / pack;
      launcher.launch(kernel, (units + kWeightThreads - 1) / kWeightThreads, kWeightThreads,
                      static_cast<const float*>(mutable_data<float>(gradients)), small.channels, large.channels,
                      small.channels * columns, columns, before, sum);
    });
    return sums.back();
  });
}

DGF_CUDA_LIBRARY(m) { m.impl("conv2d_weight_gradient", TORCH_BOX(&conv2d_weight_gradient)); }

}  // namespace
}  // namespace dgf::cuda
