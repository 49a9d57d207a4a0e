// Schemas and CPU launchers of the convolutions between a small image of many channels and a large one of few: the
// image layers of generators and discriminators.
//
// Memory format: an output is channels last, unless the image that comes in is contiguous, which gives a contiguous
// one. Both are read and written as they lie.
#include "math/activation.h"
#include "cpu/channels.h"
#include "ops/few_channels/arguments.h"

#include <torch/csrc/stable/library.h>

namespace dgf {
namespace {

const FewChannelsKernels& few_channels_kernels() {
  static const FewChannelsKernels& chosen =
      choose_kernels<FewChannelsKernels>({few_channels_avx2(), few_channels_avx512(), few_channels_neon()});
  return chosen;
}

constexpr int64_t kMostChannels = 16;  // of the large image; more, and lanes along them serve better
constexpr int64_t kMostTaps = 16;      // an axis

// A batch of images is cut into about so many units of work, by shape alone.
constexpr int64_t kUnits = 32;
// Units of the weight gradient have their own sums, of at most so many numbers together, to be added at the end.
constexpr int64_t kGradientUnits = 16;
constexpr int64_t kMostSums = 1 << 20;

void check_image(const Tensor& image, const char* name) {
  STD_TORCH_CHECK(image.dim() == 4, "deepgen_fast: ", name, " must have 4 dimensions [N, C, H, W], got ", image.dim());
}

void check_geometry(int64_t kernel, int64_t stride, int64_t padding) {
  STD_TORCH_CHECK(kernel >= 1 && kernel <= kMostTaps, "deepgen_fast: kernel must be 1 to ", kMostTaps, ", got ",
                  kernel);
  STD_TORCH_CHECK(stride >= 1 && stride <= kMostTaps, "deepgen_fast: stride must be 1 to ", kMostTaps, ", got ",
                  stride);
  STD_TORCH_CHECK(padding >= 0 && padding < kMostTaps, "deepgen_fast: padding must be 0 to ", kMostTaps - 1, ", got ",
                  padding);
}

FewChannelsShape shape_from_weight(const Tensor& input, const Tensor& weight, int64_t stride, int64_t padding,
                                   int64_t activation) {
  check_image(input, "input");
  STD_TORCH_CHECK(weight.dim() == 4 && weight.size(2) == weight.size(3),
                  "deepgen_fast: weight must have shape [small image's channels, large image's channels, k, k]");
  STD_TORCH_CHECK(weight.scalar_type() == input.scalar_type(), "deepgen_fast: weight must have the input's dtype");
  check_geometry(weight.size(2), stride, padding);
  STD_TORCH_CHECK(weight.size(0) >= 1 && weight.size(1) >= 1 && weight.size(1) <= kMostChannels,
                  "deepgen_fast: weight must have 1 to ", kMostChannels,
                  " channels of the large image, and at least 1 of "
                  "the small one");
  STD_TORCH_CHECK(activation >= 0 && activation < kActivations,
                  "deepgen_fast: activation must be 0 (none), 1 (relu), "
                  "2 (leaky relu), 3 (tanh) or 4 (sigmoid), got ",
                  activation);
  FewChannelsShape shape{};
  shape.batch = input.size(0);
  shape.a = weight.size(0);
  shape.b = weight.size(1);
  shape.kernel = weight.size(2);
  shape.stride = stride;
  shape.padding = padding;
  return shape;
}

// One number a channel in the accumulation type, `repeat` times over.
template <class A>
std::vector<A> channel_numbers(const std::optional<Tensor>& given, const Tensor& input, int64_t channels,
                               int64_t repeat, double otherwise, const char* name) {
  std::vector<A> numbers(channels * repeat, static_cast<A>(otherwise));
  if (given) {
    check_channel_vector(*given, channels, accumulation_type(input), name);
    const Tensor values = dense(*given);
    const A* from = static_cast<const A*>(values.const_data_ptr());
    for (int64_t i = 0; i < channels * repeat; ++i) numbers[i] = from[i % channels];
  }
  return numbers;
}

// Calls work(image, begin, end) for bands of rows of every image's output. A band of fewer than `least` rows is not
// worth what neighboring bands do twice.
template <class F>
void over_bands(int64_t batch, int64_t rows, int64_t least, F work) {
  if (batch == 0 || rows == 0) return;
  const int64_t wanted = std::max<int64_t>(1, kUnits / batch);
  const int64_t band = std::max(least, (rows + wanted - 1) / wanted), bands = (rows + band - 1) / band;
  torch::stable::parallel_for(0, batch * bands, 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit)
      work(unit / bands, unit % bands * band, std::min(rows, (unit % bands + 1) * band));
  });
}

template <class A>
struct Packed {
  std::vector<A> taps_of_a, a_of_taps;

  Packed(const FewChannelsShape& shape, const Tensor& weight_, bool by_a, bool by_taps, int element)
      : taps_of_a(by_a ? shape.a * shape.padded_taps() : 0), a_of_taps(by_taps ? shape.taps() * shape.padded_a() : 0) {
    const Tensor weight = dense(weight_);
    few_channels_kernels().pack[element](shape, weight.const_data_ptr(), by_a ? taps_of_a.data() : nullptr,
                                         by_taps ? a_of_taps.data() : nullptr);
  }
};

Tensor few_channels_conv_transpose2d(const Tensor& input_, const Tensor& weight, std::optional<Tensor> scale,
                                     std::optional<Tensor> shift, int64_t stride, int64_t padding,
                                     int64_t output_padding_h, int64_t output_padding_w, int64_t activation,
                                     double negative_slope) {
  FewChannelsShape shape = shape_from_weight(input_, weight, stride, padding, activation);
  STD_TORCH_CHECK(input_.size(1) == shape.a, "deepgen_fast: input must have ", shape.a,
                  " channels, as weight has rows, "
                  "got ",
                  input_.size(1));
  for (const int64_t extra : {output_padding_h, output_padding_w})
    STD_TORCH_CHECK(extra >= 0 && extra < stride, "deepgen_fast: output_padding must be less than the stride, got ",
                    extra);
  const int element = static_cast<int>(element_of(input_, "input"));
  const Tensor input = dense_channels(input_);
  shape.h = input.size(2);
  shape.w = input.size(3);
  shape.large_h = (shape.h - 1) * stride - 2 * padding + shape.kernel + output_padding_h;
  shape.large_w = (shape.w - 1) * stride - 2 * padding + shape.kernel + output_padding_w;
  STD_TORCH_CHECK(shape.h >= 1 && shape.w >= 1 && shape.large_h >= 1 && shape.large_w >= 1, "deepgen_fast: input of ",
                  shape.h, " x ", shape.w, " pixels gives no output");
  FewChannelsArguments arguments{};
  arguments.shape = shape;
  arguments.small = input.const_data_ptr();
  arguments.small_channels_last = arguments.large_channels_last = walks_channels(input);
  arguments.activation = static_cast<int>(activation);
  arguments.negative_slope = negative_slope;
  const Tensor output = empty_image(shape.batch, shape.b, shape.large_h, shape.large_w, arguments.large_channels_last,
                                    input.scalar_type());
  arguments.output = output.mutable_data_ptr();
  const auto run = [&](auto zero) {
    using A = decltype(zero);
    const Packed<A> packed(shape, weight, true, false, element);
    const std::vector<A> scales = channel_numbers<A>(scale, input, shape.b, shape.large_w, 1.0, "scale"),
                         shifts = channel_numbers<A>(shift, input, shape.b, shape.large_w, 0.0, "shift");
    arguments.taps_of_a = packed.taps_of_a.data();
    arguments.scale = scales.data();
    arguments.shift = shifts.data();
    over_bands(shape.batch, shape.large_h, 8 * stride, [&](int64_t image, int64_t begin, int64_t end) {
      few_channels_kernels().transposed[element](arguments, image, begin, end);
    });
  };
  if (input.scalar_type() == ScalarType::Double)
    run(double{});
  else
    run(float{});
  return output;
}

// How many small pixels lie along an axis; 0 where the kernel does not fit.
int64_t small_size(int64_t large, int64_t kernel, int64_t stride, int64_t padding) {
  return large + 2 * padding < kernel ? 0 : (large + 2 * padding - kernel) / stride + 1;
}

Tensor few_channels_conv2d(const Tensor& input_, const Tensor& weight, std::optional<Tensor> scale,
                           std::optional<Tensor> shift, int64_t stride, int64_t padding, int64_t activation,
                           double negative_slope) {
  FewChannelsShape shape = shape_from_weight(input_, weight, stride, padding, activation);
  STD_TORCH_CHECK(input_.size(1) == shape.b, "deepgen_fast: input must have ", shape.b,
                  " channels, as weight has, got ", input_.size(1));
  const int element = static_cast<int>(element_of(input_, "input"));
  const Tensor input = dense_channels(input_);
  shape.large_h = input.size(2);
  shape.large_w = input.size(3);
  shape.h = small_size(shape.large_h, shape.kernel, stride, padding);
  shape.w = small_size(shape.large_w, shape.kernel, stride, padding);
  STD_TORCH_CHECK(shape.large_h >= 1 && shape.large_w >= 1 && shape.h >= 1 && shape.w >= 1, "deepgen_fast: input of ",
                  shape.large_h, " x ", shape.large_w, " pixels is smaller than the kernel");
  FewChannelsArguments arguments{};
  arguments.shape = shape;
  arguments.large = input.const_data_ptr();
  arguments.small_channels_last = arguments.large_channels_last = walks_channels(input);
  arguments.activation = static_cast<int>(activation);
  arguments.negative_slope = negative_slope;
  const Tensor output =
      empty_image(shape.batch, shape.a, shape.h, shape.w, arguments.small_channels_last, input.scalar_type());
  arguments.output = output.mutable_data_ptr();
  const auto run = [&](auto zero) {
    using A = decltype(zero);
    const bool channels_last = arguments.small_channels_last;
    const Packed<A> packed(shape, weight, !channels_last, channels_last, element);
    const std::vector<A> scales = channel_numbers<A>(scale, input, shape.a, 1, 1.0, "scale"),
                         shifts = channel_numbers<A>(shift, input, shape.a, 1, 0.0, "shift");
    arguments.taps_of_a = packed.taps_of_a.data();
    arguments.a_of_taps = packed.a_of_taps.data();
    arguments.scale = scales.data();
    arguments.shift = shifts.data();
    over_bands(shape.batch, shape.h, 8, [&](int64_t image, int64_t begin, int64_t end) {
      few_channels_kernels().convolution[element](arguments, image, begin, end);
    });
  };
  if (input.scalar_type() == ScalarType::Double)
    run(double{});
  else
    run(float{});
  return output;
}

template <class A>
void store_gradient(const FewChannelsShape& s, const std::vector<double>& sums, A* to) {
  const int64_t area = s.kernel * s.kernel;
  for (int64_t a = 0; a < s.a; ++a)
    for (int64_t b = 0; b < s.b; ++b)
      for (int64_t k = 0; k < area; ++k) *to++ = static_cast<A>(sums[a * s.padded_taps() + k * s.b + b]);
}

Tensor few_channels_weight_gradient(const Tensor& small_, const Tensor& large_, int64_t kernel, int64_t stride,
                                    int64_t padding) {
  check_image(small_, "small");
  check_image(large_, "large");
  check_geometry(kernel, stride, padding);
  STD_TORCH_CHECK(large_.scalar_type() == small_.scalar_type(), "deepgen_fast: large must have small's dtype");
  STD_TORCH_CHECK(small_.size(0) == large_.size(0), "deepgen_fast: large must have small's batch size ", small_.size(0),
                  ", got ", large_.size(0));
  STD_TORCH_CHECK(large_.size(1) >= 1 && large_.size(1) <= kMostChannels && small_.size(1) >= 1,
                  "deepgen_fast: large must have 1 to ", kMostChannels, " channels, and small at least 1");
  for (const int dim : {2, 3})
    STD_TORCH_CHECK(small_size(large_.size(dim), kernel, stride, padding) == small_.size(dim),
                    "deepgen_fast: small has ", small_.size(dim), " pixels along dimension ", dim, ", expected ",
                    small_size(large_.size(dim), kernel, stride, padding), " from large's ", large_.size(dim));
  const int element = static_cast<int>(element_of(small_, "small"));
  const Tensor small = dense_channels(small_), large = dense_channels(large_);
  const FewChannelsShape shape{small.size(0), small.size(1), large.size(1), small.size(2), small.size(3),
                               large.size(2), large.size(3), kernel,        stride,        padding};
  FewChannelsArguments arguments{};
  arguments.shape = shape;
  arguments.small = small.const_data_ptr();
  arguments.large = large.const_data_ptr();
  arguments.small_channels_last = walks_channels(small);
  arguments.large_channels_last = walks_channels(large);
  const int64_t rows = small.numel() == 0 ? 0 : shape.batch * shape.h, numbers = shape.a * shape.padded_taps();
  const int64_t wanted = std::min(kGradientUnits, std::max<int64_t>(1, kMostSums / numbers));
  const int64_t each = std::max<int64_t>(8, (rows + wanted - 1) / wanted), units = (rows + each - 1) / each;
  std::vector<double> sums(numbers * std::max<int64_t>(1, units), 0.0);
  if (units)
    torch::stable::parallel_for(0, units, 1, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit)
        few_channels_kernels().weight_gradient[element](arguments, unit * each, std::min(rows, (unit + 1) * each),
                                                        &sums[unit * numbers]);
    });
  for (int64_t unit = 1; unit < units; ++unit)
    for (int64_t i = 0; i < numbers; ++i) sums[i] += sums[unit * numbers + i];
  const Tensor gradient = empty({shape.a, shape.b, kernel, kernel}, accumulation_type(small));
  if (small.scalar_type() == ScalarType::Double)
    store_gradient(shape, sums, static_cast<double*>(gradient.mutable_data_ptr()));
  else
    store_gradient(shape, sums, static_cast<float*>(gradient.mutable_data_ptr()));
  return gradient.scalar_type() == small.scalar_type() ? gradient : torch::stable::to(gradient, small.scalar_type());
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(deepgen_fast, m) {
  m.def(
      "few_channels_conv_transpose2d(Tensor input, Tensor weight, Tensor? scale, Tensor? shift, int stride, int "
      "padding, "
      "int output_padding_h, int output_padding_w, int activation, float negative_slope) -> Tensor");
  m.def(
      "few_channels_conv2d(Tensor input, Tensor weight, Tensor? scale, Tensor? shift, int stride, int padding, "
      "int activation, float negative_slope) -> Tensor");
  m.def("few_channels_weight_gradient(Tensor small, Tensor large, int kernel, int stride, int padding) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(deepgen_fast, CPU, m) {
  m.impl("few_channels_conv_transpose2d", TORCH_BOX(&few_channels_conv_transpose2d));
  m.impl("few_channels_conv2d", TORCH_BOX(&few_channels_conv2d));
  m.impl("few_channels_weight_gradient", TORCH_BOX(&few_channels_weight_gradient));
}

}  // namespace dgf
