#include "ops/convolution/cuda_call.h"

namespace dgf::cuda {
namespace {

std::tuple<Tensor, Tensor> conv2d(const Tensor& input, const Tensor& weight, const OptionalTensor& scale,
                                  const OptionalTensor& shift, int64_t stride, int64_t padding, int64_t activation,
                                  double negative_slope, bool statistics) {
  check_image(input, "input");
  check_weight(weight, input.size(1), 1);
  check_statistics(statistics, activation);
  const Launcher launcher(input);
  return with_geometry(weight.size(2), stride, padding, [&](auto geometry) -> std::tuple<Tensor, Tensor> {
    using Shape = decltype(geometry);
    const ImageSize large(input);
    const auto small_size = [&](int64_t size) {
      STD_TORCH_CHECK(size + 2 * padding >= Shape::kernel, "deepgen_fast (cuda): input of size ", size,
                      " is smaller than the kernel");
      return (size + 2 * padding - Shape::kernel) / stride + 1;
    };
    const ImageSize small(large.batch, weight.size(0), small_size(large.height), small_size(large.width));
    const Tensor output = new_channels_last(input, small.sizes(), ScalarType::Float);
    const float* image = launcher.pixels<float>(input, "input");
    const Tensor weights = torch::stable::transpose(transform_weights<Shape, false>(launcher, weight), 1, 2);
    const int64_t products = Shape::group_products, depth = Shape::group_phases * large.channels;
    const Tiling tiling(small.batch, small.height, small.width, products * (depth + small.channels));
    Workspace inputs(input, products * tiling.chunk * depth, ScalarType::Float);
    Workspace outputs(input, products * tiling.chunk * small.channels, ScalarType::Float);
    const auto closing = epilogue<float>(launcher, small.channels, scale, shift, activation, negative_slope);
    OutputTarget target(launcher, mutable_data<float>(output), small, closing, tiling, 1, statistics);
    tiling.over_chunks([&](const TileRange& tiles) {
      const Tensor windows = inputs.shaped({products, tiles.count, depth});
      const Tensor results = outputs.shaped({products, tiles.count, small.channels});
      large_windows<Shape>(launcher, image, large, tiles, mutable_data<float>(windows));
      multiply(windows, weights, results);
      small_outputs<Shape>(launcher, mutable_data<float>(results), tiles, target);
    });
    return {output, finish_statistics(launcher, input, target, statistics)};
  });
}

DGF_CUDA_LIBRARY(m) { m.impl("conv2d", TORCH_BOX(&conv2d)); }

}  // namespace
}  // namespace dgf::cuda
