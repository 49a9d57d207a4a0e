#include "cuda/activation_call.h"
#include "cuda/columns.cuh"
#include "cuda/product.h"
#include "cuda/rows.cuh"
#include "ops/few_channels/kernels.cuh"

namespace dgf::cuda {
namespace {

#if defined(DGF_SIMT)
constexpr int64_t kWorkspaceBytes = 1 << 14;  // so that small tests have several chunks
#else
constexpr int64_t kWorkspaceBytes = 1 << 27;
#endif

// Calls visit(T{}) for the types that the library's matrix product does not round in between.
template <class Visitor>
auto dispatch_wide(const Tensor& tensor, const char* name, Visitor&& visit) {
  switch (tensor.scalar_type()) {
    case ScalarType::Float: return visit(float{});
    case ScalarType::Double: return visit(double{});
    default: STD_TORCH_CHECK(false, "deepgen_fast (cuda): ", name, " must have dtype float32 or float64");
  }
}

JoinedImages joined(const std::vector<int64_t>& small, const std::vector<int64_t>& large, int64_t kernel,
                    int64_t stride, int64_t padding) {
  STD_TORCH_CHECK(stride > 0 && padding >= 0, "deepgen_fast (cuda): stride must be positive and padding not negative");
  return {small[0], small[2], small[3], small[1], large[2], large[3], large[1], kernel, stride, padding};
}

void check_shapes(const Tensor& input, const Tensor& weight, int input_dimension) {
  STD_TORCH_CHECK(input.dim() == 4, "deepgen_fast (cuda): input must be [N, C, H, W], got ", input.dim(),
                  " dimensions");
  STD_TORCH_CHECK(
      weight.dim() == 4 && weight.size(2) == weight.size(3) && weight.size(input_dimension) == input.size(1),
      "deepgen_fast (cuda): weight must be 4-dimensional with a square kernel and have ", input.size(1),
      " input channels in dimension ", input_dimension);
}

int64_t blocks_of(int64_t threads) { return (threads + kFewChannelThreads - 1) / kFewChannelThreads; }

// How many units of so many bytes are handled at a time.
int64_t chunk_of(int64_t units, int64_t bytes) {
  return std::min(units, std::max<int64_t>(1, kWorkspaceBytes / std::max<int64_t>(1, bytes)));
}

// Weights [A, B, k, k] as a matrix [A, B * k * k].
Tensor as_matrix(const Tensor& weight) {
  return torch::stable::reshape(weight, {weight.size(0), weight.size(1) * weight.size(2) * weight.size(3)});
}

Tensor few_channels_conv_transpose2d(const Tensor& input, const Tensor& weight, const OptionalTensor& scale,
                                     const OptionalTensor& shift, int64_t stride, int64_t padding,
                                     int64_t output_padding_h, int64_t output_padding_w, int64_t activation,
                                     double negative_slope) {
  check_shapes(input, weight, 0);
  return dispatch_wide(input, "input", [&](auto type) {
    using T = decltype(type);
    const Launcher launcher(input);
    const int64_t kernel = weight.size(2);
    const auto large_size = [&](int64_t size, int64_t output_padding) {
      return stride * (size - 1) - 2 * padding + kernel + output_padding;
    };
    const std::vector<int64_t> small = sizes_of(input);
    const std::vector<int64_t> large{small[0], weight.size(1), large_size(small[2], output_padding_h),
                                     large_size(small[3], output_padding_w)};
    STD_TORCH_CHECK(large[2] > 0 && large[3] > 0, "deepgen_fast (cuda): the output would have no pixels");
    JoinedImages images = joined(small, large, kernel, stride, padding);
    const Tensor output = new_channels_last(input, large, kScalarType<T>);
    Tensor sources = pixel_matrix(input);
    launcher.input<T>(sources, input.numel(), "input");
    launcher.input<T>(weight, weight.numel(), "weight");
    const auto closing = epilogue<T>(launcher, large[1], scale, shift, activation, negative_slope);
    // Image by image: [pixels, A] times [A, patch], then what each number of the large image gathers of it.
    const int64_t rows = small[2] * small[3], numbers = large[1] * large[2] * large[3], patch = images.patch();
    const int64_t chunk = chunk_of(small[0], rows * patch * static_cast<int64_t>(sizeof(T)));
    if (chunk == 0 || numbers == 0) return output;
    const Tensor matrix = torch::stable::unsqueeze(as_matrix(weight), 0);
    Workspace workspace(input, chunk * rows * patch, kScalarType<T>);
    for (int64_t first = 0; first < small[0]; first += chunk) {
      images.batch = std::min(chunk, small[0] - first);
      const Tensor products = workspace.shaped({1, images.batch * rows, patch});
      multiply(torch::stable::narrow(sources, 1, first * rows, images.batch * rows), matrix, products);
      const int64_t count = images.batch * numbers;
      launcher.launch(&gather_kernel<T>, blocks_of(count), kFewChannelThreads, images, first, count,
                      static_cast<const T*>(mutable_data<T>(products)), closing, mutable_data<T>(output));
    }
    return output;
  });
}

Tensor few_channels_conv2d(const Tensor& input, const Tensor& weight, const OptionalTensor& scale,
                           const OptionalTensor& shift, int64_t stride, int64_t padding, int64_t activation,
                           double negative_slope) {
  check_shapes(input, weight, 1);
  return dispatch_floating(input, "input", [&](auto type) {
    using T = decltype(type);
    const Launcher launcher(input);
    const int64_t kernel = weight.size(2);
    const std::vector<int64_t> large = sizes_of(input);
    const auto small_size = [&](int64_t size) {
      STD_TORCH_CHECK(size + 2 * padding >= kernel, "deepgen_fast (cuda): input of size ", size,
                      " is smaller than the kernel");
      return (size + 2 * padding - kernel) / stride + 1;
    };
    const std::vector<int64_t> small{large[0], weight.size(0), small_size(large[2]), small_size(large[3])};
    const JoinedImages images = joined(small, large, kernel, stride, padding);
    const Tensor output = new_channels_last(input, small, kScalarType<T>);
    const T* pixels = launcher.pixels<T>(input, "input");
    const Tensor matrix = torch::stable::contiguous(torch::stable::transpose(as_matrix(weight), 0, 1));
    const T* weights = launcher.input<T>(matrix, weight.numel(), "weight");
    const auto closing = epilogue<Compute<T>>(launcher, small[1], scale, shift, activation, negative_slope);
    const FewChannelPlan plan = FewChannelPlan::make(images.small_pixels(), small[1], kPack<T>);
    T* out = mutable_data<T>(output);
    const bool vectorized(Alignment<T>(small[1]).with(weights).with(out).with(closing.scale).with(closing.shift));
    auto* run = vectorized ? &few_to_many_kernel<true, T> : &few_to_many_kernel<false, T>;
    if (plan.blocks_wide * plan.blocks_deep > 0)
      launcher.launch(run, plan.blocks_wide * plan.blocks_deep, kFewChannelThreads, images, plan, pixels, weights,
                      closing, out);
    return output;
  });
}

Tensor few_channels_weight_gradient(const Tensor& small_image, const Tensor& large_image, int64_t kernel,
                                    int64_t stride, int64_t padding) {
  STD_TORCH_CHECK(small_image.dim() == 4 && large_image.dim() == 4 && small_image.size(0) == large_image.size(0),
                  "deepgen_fast (cuda): small and large must be [N, C, H, W] with one batch size");
  return dispatch_wide(small_image, "small", [&](auto type) {
    using T = decltype(type);
    const Launcher launcher(small_image);
    const std::vector<int64_t> small = sizes_of(small_image);
    const JoinedImages images = joined(small, sizes_of(large_image), kernel, stride, padding);
    const std::vector<int64_t> sizes{small[1], large_image.size(1), kernel, kernel};
    Tensor sources = pixel_matrix(small_image);
    launcher.input<T>(sources, small_image.numel(), "small");
    sources = torch::stable::transpose(sources, 1, 2);
    const T* large_pixels = launcher.pixels<T>(large_image, "large");
    const int64_t pixels = images.small_pixels(), patch = images.patch();
    Tensor gradient = new_tensor(small_image, sizes, kScalarType<T>);
    if (pixels == 0 || gradient.numel() == 0) return torch::stable::zero_(gradient);
    const int64_t chunk = chunk_of(pixels, patch * static_cast<int64_t>(sizeof(T)));
    const int64_t chunks = (pixels + chunk - 1) / chunk;
    // Chunk by chunk [A, pixels] times [pixels, patch], then the sum of the chunks' results, in order.
    Workspace workspace(small_image, chunk * patch, kScalarType<T>);
    Tensor results = new_tensor(small_image, {chunks, small[1], patch}, kScalarType<T>);
    for (int64_t i = 0; i < chunks; ++i) {
      const int64_t first = i * chunk, count = std::min(chunk, pixels - first);
      const Tensor patches = workspace.shaped({1, count, patch});
      T* out = mutable_data<T>(patches);
      const bool vectorized(Alignment<T>(patch).with(out));
      auto* run = vectorized ? &patches_kernel<true, T> : &patches_kernel<false, T>;
      launcher.launch(run, blocks_of(count * ((patch + kPack<T> - 1) / kPack<T>)), kFewChannelThreads, images, first,
                      count, large_pixels, out);
      multiply(torch::stable::narrow(sources, 2, first, count), patches, torch::stable::narrow(results, 0, i, 1));
    }
    sum_columns(launcher, static_cast<const T*>(mutable_data<T>(results)), chunks, small[1] * patch,
                mutable_data<T>(gradient));
    return gradient;
  });
}

DGF_CUDA_LIBRARY(m) {
  m.impl("few_channels_conv_transpose2d", TORCH_BOX(&few_channels_conv_transpose2d));
  m.impl("few_channels_conv2d", TORCH_BOX(&few_channels_conv2d));
  m.impl("few_channels_weight_gradient", TORCH_BOX(&few_channels_weight_gradient));
}

}  // namespace
}  // namespace dgf::cuda
