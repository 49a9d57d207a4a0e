#include "ops/convolution/cuda_call.h"

namespace dgf::cuda {
namespace {

// statistics [2, channels], or an empty tensor when they are not wanted; of no numbers, NaN and 0.
Tensor finish_statistics(const Launcher& launcher, const Tensor& like, const OutputTarget& target, bool wanted) {
  if (!wanted) return new_tensor(like, {0}, ScalarType::Double);
  const ImageSize& size = target.size;
  Tensor statistics = new_tensor(like, {2, size.channels}, ScalarType::Double);
  target.statistics.finish(launcher, mutable_data<double>(statistics));
  if (size.batch * size.height * size.width == 0) {
    Tensor mean = torch::stable::narrow(statistics, 0, 0, 1);
    torch::stable::fill_(mean, std::numeric_limits<double>::quiet_NaN());
  }
  return statistics;
}

void check_statistics(bool statistics, int64_t activation) {
  STD_TORCH_CHECK(!statistics || activation == kNoActivation,
                  "deepgen_fast (cuda): statistics are of an output without activation, got activation ", activation);
}

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

DGF_CUDA_LIBRARY(m) {
  m.impl("conv_transpose2d", TORCH_BOX(&conv_transpose2d));
  m.impl("conv2d", TORCH_BOX(&conv2d));
  m.impl("conv2d_weight_gradient", TORCH_BOX(&conv2d_weight_gradient));
}

}  // namespace
}  // namespace dgf::cuda
