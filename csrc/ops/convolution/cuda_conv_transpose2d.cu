#include "ops/convolution/cuda_call.h"

namespace dgf::cuda {
namespace {

std::tuple<Tensor, Tensor> conv_transpose2d(const Tensor& input, const Tensor& weight, const OptionalTensor& scale,
                                            const OptionalTensor& shift, int64_t stride, int64_t padding,
                                            int64_t output_padding_h, int64_t output_padding_w, int64_t activation,
                                            double negative_slope, bool statistics) {
  check_image(input, "input");
  check_weight(weight, input.size(1), 0);
  check_statistics(statistics, activation);
  const Launcher launcher(input);
  return with_geometry(weight.size(2), stride, padding, [&](auto geometry) -> std::tuple<Tensor, Tensor> {
    using Shape = decltype(geometry);
    const ImageSize small(input);
    const auto large_size = [&](int64_t size, int64_t output_padding) {
      STD_TORCH_CHECK(output_padding >= 0 && (output_padding == 0 || output_padding < stride),
                      "deepgen_fast (cuda): output_padding must be less than stride, got ", output_padding);
      return stride * (size - 1) - 2 * padding + Shape::kernel + output_padding;
    };
    const ImageSize large(small.batch, weight.size(1), large_size(small.height, output_padding_h),
                          large_size(small.width, output_padding_w));
    const Tensor output = new_channels_last(input, large.sizes(), ScalarType::Float);
    const float* image = launcher.pixels<float>(input, "input");
    const Tensor weights = transform_weights<Shape, true>(launcher, weight);
    const auto phase_size = [](int64_t size) { return (size + Shape::stride - 1) / Shape::stride; };
    const int64_t products = Shape::phase_products;
    const Tiling tiling(small.batch, phase_size(large.height), phase_size(large.width),
                        products * (small.channels + large.channels));
    Workspace inputs(input, products * tiling.chunk * small.channels, ScalarType::Float);
    Workspace outputs(input, products * tiling.chunk * large.channels, ScalarType::Float);
    const auto closing = epilogue<float>(launcher, large.channels, scale, shift, activation, negative_slope);
    OutputTarget target(launcher, mutable_data<float>(output), large, closing, tiling, Shape::phases, statistics);
    tiling.over_chunks([&](const TileRange& tiles) {
      const Tensor windows = inputs.shaped({products, tiles.count, small.channels});
      const Tensor results = outputs.shaped({products, tiles.count, large.channels});
      small_windows<Shape>(launcher, image, small, tiles, mutable_data<float>(windows));
      multiply(windows, weights, results);
      large_outputs<Shape>(launcher, mutable_data<float>(results), tiles, target);
    });
    return {output, finish_statistics(launcher, input, target, statistics)};
  });
}

DGF_CUDA_LIBRARY(m) { m.impl("conv_transpose2d", TORCH_BOX(&conv_transpose2d)); }

}  // namespace
}  // namespace dgf::cuda
