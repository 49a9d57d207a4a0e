// Schemas and CPU launchers of conv_transpose2d, conv2d and conv2d_weight_gradient, and of in_format, which brings an
// image to a memory format.
#include <torch/csrc/stable/library.h>

#include <cstring>

#include "cpu/channels.h"
#include "ops/convolution/plan.h"
#include "ops/convolution/workspace.h"

namespace dgf {
namespace {

const ConvolutionKernels& convolutions() {
  static const auto& found =
      choose_kernels<ConvolutionKernels>({convolution_avx2(), convolution_avx512(), convolution_neon()});
  return found;
}

// A copy of an image in the memory format that it does not have. PyTorch's own gathers number by number.
Tensor in_format(const Tensor& image, bool channels_last) {
  STD_TORCH_CHECK(image.dim() == 4, "deepgen_fast: image must have 4 dimensions, got ", image.dim());
  element_of(image, "image");
  const bool turned = channels_last ? image.is_contiguous() : is_channels_last(image);
  if (image.scalar_type() != ScalarType::Float || !turned)
    return torch::stable::contiguous(image, channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous);
  const int64_t batch = image.size(0), channels = image.size(1), pixels = image.size(2) * image.size(3);
  const Tensor output = empty_image(batch, channels, image.size(2), image.size(3), channels_last, ScalarType::Float);
  const int64_t rows = channels_last ? channels : pixels, columns = channels_last ? pixels : channels;
  if (image.numel() == 0) return output;
  constexpr int64_t kColumns = 64;  // read side by side: whole lines, and the next ones are fetched meanwhile
  const int64_t parts = divide_up(columns, kColumns);
  const float* const from = static_cast<const float*>(image.const_data_ptr());
  float* const to = static_cast<float*>(output.mutable_data_ptr());
  const auto transpose = convolutions().transpose;
  const int64_t grain = std::max<int64_t>(1, kGrain / (rows * std::min(columns, kColumns)));
  torch::stable::parallel_for(0, batch * parts, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t matrix = i / parts * rows * columns, column = i % parts * kColumns;
      transpose(from + matrix, rows, columns, column, std::min(column + kColumns, columns), to + matrix);
    }
  });
  return output;
}

Tensor channels_last(const Tensor& t) { return is_channels_last(t) ? t : in_format(t, true); }

void check_image(const Tensor& t, const char* name) {
  STD_TORCH_CHECK(t.dim() == 4, "deepgen_fast: ", name, " must have 4 dimensions, got ", t.dim());
  const ScalarType type = t.scalar_type();
  STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double || type == ScalarType::BFloat16,
                  "deepgen_fast: ", name, " must be float32, float64 or bfloat16");
}

void check_like(const Tensor& t, const Tensor& like, const char* name) {
  STD_TORCH_CHECK(t.scalar_type() == like.scalar_type(), "deepgen_fast: ", name, " must have the input's dtype");
}

void check_geometry(int64_t kernel, int64_t stride, int64_t padding) {
  STD_TORCH_CHECK((stride == 1 || stride == 2) && kernel >= stride && divide_up(kernel, stride) <= 3 && padding >= 0,
                  "deepgen_fast: Winograd filtering serves strides 1 and 2 with at most 3 taps a phase, got kernel ",
                  kernel, ", stride ", stride, ", padding ", padding);
}

const void* channel_operand(const std::optional<Tensor>& t, const Tensor& input, int64_t channels, const char* name) {
  if (!t) return nullptr;
  STD_TORCH_CHECK(t->scalar_type() == accumulation_type(input) && t->numel() == channels, "deepgen_fast: ", name,
                  " must have one number an output channel, in the accumulation dtype");
  return t->const_data_ptr();
}

void run(Plan& plan, const ConvolutionArguments& arguments, ConvolutionKernel kernel, WorkspaceBytes workspace) {
  torch::stable::parallel_for(0, static_cast<int64_t>(plan.tasks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      ConvolutionTask task = plan.tasks[i];
      task.workspace = thread_workspace(
          workspace(arguments.shape, plan.blocks, task.row_end - task.row_begin, task.column_end - task.column_begin));
      kernel(arguments, plan.blocks, task);
    }
  });
}

// Mean and sum of squared deviations per channel, from the partial sums that the tiles left.
Tensor combine_statistics(const std::vector<double>& partial, int64_t chunks, int64_t channels, int64_t count) {
  const Tensor statistics = empty({2, channels}, ScalarType::Double);
  double* const out = static_cast<double*>(statistics.mutable_data_ptr());
  std::vector<double> total(3 * channels, 0.0);
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for (int64_t i = 0; i < 3 * channels; ++i) total[i] += partial[chunk * 3 * channels + i];
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = count ? total[c] / static_cast<double>(count) : 0.0;
    const double between = total[channels + c] - total[c] * mean;
    const double deviations = total[2 * channels + c] + between;
    out[c] = mean;
    out[channels + c] = deviations < 0.0 ? 0.0 : deviations;  // NaN stays
  }
  return statistics;
}

std::tuple<Tensor, Tensor> run_image(const Tensor& given, const Tensor& given_weight,
                                     const std::optional<Tensor>& scale, const std::optional<Tensor>& shift,
                                     ConvolutionShape shape, bool transposed, int64_t activation, double negative_slope,
                                     bool want_statistics) {
  STD_TORCH_CHECK(!want_statistics || activation == 0, "deepgen_fast: statistics are those before an activation");
  const Tensor input = channels_last(given), weight = dense(given_weight);
  const std::optional<Tensor> dense_scale = dense(scale), dense_shift = dense(shift);
  const int64_t channels = transposed ? shape.large_channels : shape.small_channels;
  const int64_t height = transposed ? shape.large_height : shape.small_height;
  const int64_t width = transposed ? shape.large_width : shape.small_width;
  STD_TORCH_CHECK(height > 0 && width > 0, "deepgen_fast: the output would have ", height, " x ", width, " pixels");
  const Tensor output = empty_image(shape.batch, channels, height, width, true, input.scalar_type());
  ConvolutionArguments arguments{};
  arguments.shape = shape;
  (transposed ? arguments.small : arguments.large) = input.const_data_ptr();
  arguments.weight = weight.const_data_ptr();
  arguments.output = output.mutable_data_ptr();
  arguments.epilogue = {channel_operand(dense_scale, input, channels, "scale"),
                        channel_operand(dense_shift, input, channels, "shift"), static_cast<int>(activation),
                        negative_slope, nullptr};
  const int64_t phase_height = transposed ? divide_up(height, shape.stride) : height;
  const int64_t phase_width = transposed ? divide_up(width, shape.stride) : width;
  const int64_t tiles = shape.batch * divide_up(phase_height, 4) * divide_up(phase_width, 4);
  const int64_t chunks = divide_up(tiles, kStatisticsTiles);
  std::vector<double> partial;
  if (want_statistics) {
    partial.assign(chunks * 3 * channels, 0.0);
    arguments.epilogue.statistics = partial.data();
  }
  if (tiles && channels) {
    const ConvolutionKernels& table = convolutions();
    const int element = static_cast<int>(element_of(input, "input"));
    const int64_t bytes = input.scalar_type() == ScalarType::Double ? 8 : 4;
    Plan plan = plan_image(shape, transposed, tiles, table.panel[element], bytes, torch::stable::get_num_threads());
    run(plan, arguments, (transposed ? table.conv_transpose2d : table.conv2d)[element], table.image_workspace[element]);
  }
  return {output, want_statistics ? combine_statistics(partial, chunks, channels, shape.batch * height * width)
                                  : empty({0}, ScalarType::Double)};
}

std::tuple<Tensor, Tensor> conv_transpose2d(const Tensor& input, const Tensor& weight, std::optional<Tensor> scale,
                                            std::optional<Tensor> shift, int64_t stride, int64_t padding,
                                            int64_t output_padding_h, int64_t output_padding_w, int64_t activation,
                                            double negative_slope, bool statistics) {
  check_image(input, "input");
  check_image(weight, "weight");
  check_like(weight, input, "weight");
  const int64_t kernel = weight.size(2);
  check_geometry(kernel, stride, padding);
  STD_TORCH_CHECK(weight.size(3) == kernel && weight.size(0) == input.size(1),
                  "deepgen_fast: weight must be [input channels, output channels, kernel, kernel]");
  ConvolutionShape shape{input.size(0),
                         input.size(1),
                         weight.size(1),
                         input.size(2),
                         input.size(3),
                         0,
                         0,
                         static_cast<int>(kernel),
                         static_cast<int>(stride),
                         static_cast<int>(padding)};
  shape.large_height = (shape.small_height - 1) * stride - 2 * padding + kernel + output_padding_h;
  shape.large_width = (shape.small_width - 1) * stride - 2 * padding + kernel + output_padding_w;
  return run_image(input, weight, scale, shift, shape, true, activation, negative_slope, statistics);
}

std::tuple<Tensor, Tensor> conv2d(const Tensor& input, const Tensor& weight, std::optional<Tensor> scale,
                                  std::optional<Tensor> shift, int64_t stride, int64_t padding, int64_t activation,
                                  double negative_slope, bool statistics) {
  check_image(input, "input");
  check_image(weight, "weight");
  check_like(weight, input, "weight");
  const int64_t kernel = weight.size(2);
  check_geometry(kernel, stride, padding);
  STD_TORCH_CHECK(weight.size(3) == kernel && weight.size(1) == input.size(1),
                  "deepgen_fast: weight must be [output channels, input channels, kernel, kernel]");
  ConvolutionShape shape{input.size(0),
                         weight.size(0),
                         input.size(1),
                         0,
                         0,
                         input.size(2),
                         input.size(3),
                         static_cast<int>(kernel),
                         static_cast<int>(stride),
                         static_cast<int>(padding)};
  STD_TORCH_CHECK(shape.large_height + 2 * padding >= kernel && shape.large_width + 2 * padding >= kernel,
                  "deepgen_fast: the kernel is larger than the padded input");
  shape.small_height = (shape.large_height + 2 * padding - kernel) / stride + 1;
  shape.small_width = (shape.large_width + 2 * padding - kernel) / stride + 1;
  return run_image(input, weight, scale, shift, shape, false, activation, negative_slope, statistics);
}

Tensor conv2d_weight_gradient(const Tensor& given_small, const Tensor& given_large, int64_t kernel, int64_t stride,
                              int64_t padding) {
  check_image(given_small, "small");
  check_image(given_large, "large");
  check_like(given_large, given_small, "large");
  check_geometry(kernel, stride, padding);
  STD_TORCH_CHECK(given_small.size(0) == given_large.size(0), "deepgen_fast: small and large differ in batch size");
  const Tensor small = channels_last(given_small), large = channels_last(given_large);
  const ConvolutionShape shape{small.size(0),
                               small.size(1),
                               large.size(1),
                               small.size(2),
                               small.size(3),
                               large.size(2),
                               large.size(3),
                               static_cast<int>(kernel),
                               static_cast<int>(stride),
                               static_cast<int>(padding)};
  const Tensor gradient = empty({shape.small_channels, shape.large_channels, kernel, kernel}, small.scalar_type());
  if (gradient.numel() == 0) return gradient;
  if (small.numel() == 0 || large.numel() == 0) return torch::stable::fill_(gradient, 0.0);
  ConvolutionArguments arguments{};
  arguments.shape = shape;
  arguments.small = small.const_data_ptr();
  arguments.large = large.const_data_ptr();
  arguments.output = gradient.mutable_data_ptr();
  const ConvolutionKernels& table = convolutions();
  const int element = static_cast<int>(element_of(small, "small"));
  const int64_t bytes = small.scalar_type() == ScalarType::Double ? 8 : 4;
  Plan plan = plan_weight(shape, table.panel[element], bytes, torch::stable::get_num_threads());
  run(plan, arguments, table.conv2d_weight_gradient[element], table.weight_workspace[element]);
  return gradient;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(deepgen_fast, m) {
  m.def(
      "conv_transpose2d(Tensor input, Tensor weight, Tensor? scale, Tensor? shift, int stride, int padding, "
      "int output_padding_h, int output_padding_w, int activation, float negative_slope, bool statistics) "
      "-> (Tensor, Tensor)");
  m.def(
      "conv2d(Tensor input, Tensor weight, Tensor? scale, Tensor? shift, int stride, int padding, int activation, "
      "float negative_slope, bool statistics) -> (Tensor, Tensor)");
  m.def("conv2d_weight_gradient(Tensor small, Tensor large, int kernel, int stride, int padding) -> Tensor");
  m.def("in_format(Tensor image, bool channels_last) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(deepgen_fast, CPU, m) {
  m.impl("conv_transpose2d", TORCH_BOX(&conv_transpose2d));
  m.impl("conv2d", TORCH_BOX(&conv2d));
  m.impl("conv2d_weight_gradient", TORCH_BOX(&conv2d_weight_gradient));
  m.impl("in_format", TORCH_BOX(&in_format));
}

}  // namespace dgf
