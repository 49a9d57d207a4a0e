// Schemas and CPU launchers of channel_statistics, batch_norm_act and batch_norm_act_backward.
#include "cpu/channels.h"
#include "ops/batch_norm_act/arguments.h"
#include "ops/batch_norm_act/channel_view.h"
#include "ops/batch_norm_act/math.h"

#include <torch/csrc/stable/library.h>

#include <limits>

namespace dgf {
namespace {

const BatchNormKernels& batch_norm_kernels() {
  static const BatchNormKernels& chosen =
      choose_kernels<BatchNormKernels>({batch_norm_avx2(), batch_norm_avx512(), batch_norm_neon()});
  return chosen;
}

void check_input(const Tensor& input) {
  STD_TORCH_CHECK(input.dim() >= 2, "deepgen_fast: input must have a batch and a channel dimension, got ", input.dim(),
                  " dimensions");
}

// The first number of each channel of a dense tensor.
template <class T, class F>
void first_numbers(const T* data, const ChannelView& view, F store) {
  for (int64_t c = 0; c < view.channels; ++c) store(c, data[view.rows.channels_last ? c : c * view.pixels]);
}

double half_to_double(uint16_t raw) {
  const int exponent = raw >> 10 & 31, fraction = raw & 1023;
  double size;
  if (exponent == 31)
    size = fraction ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  else
    size = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return raw & 0x8000 ? -size : size;
}

double bfloat16_to_double(uint16_t raw) {
  const uint32_t bits = static_cast<uint32_t>(raw) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// What a channel's numbers are measured from: its first, so that nothing cancels however large the mean; zero where
// that is no finite number (NaN and infinities reach the sums by themselves).
std::vector<double> pivots(const Tensor& input, const ChannelView& view) {
  std::vector<double> pivot(view.channels, 0.0);
  if (view.elements == 0) return pivot;
  const void* data = input.const_data_ptr();
  const auto store = [&](int64_t c, double value) { pivot[c] = std::isfinite(value) ? value : 0.0; };
  switch (element_of(input, "input")) {
    case Element::kFloat: first_numbers(static_cast<const float*>(data), view, store); break;
    case Element::kDouble: first_numbers(static_cast<const double*>(data), view, store); break;
    case Element::kBFloat16:
      first_numbers(static_cast<const uint16_t*>(data), view,
                    [&](int64_t c, uint16_t raw) { store(c, bfloat16_to_double(raw)); });
      break;
    case Element::kHalf:
      first_numbers(static_cast<const uint16_t*>(data), view,
                    [&](int64_t c, uint16_t raw) { store(c, half_to_double(raw)); });
      break;
  }
  return pivot;
}

Tensor channel_statistics(const Tensor& input_) {
  check_input(input_);
  const auto kernel = batch_norm_kernels().moments[static_cast<int>(element_of(input_, "input"))];
  const Tensor input = dense_channels(input_);
  const ChannelView view(input);
  const std::vector<double> pivot = pivots(input, view);
  const std::vector<double> repeated = view.repeated<double>([&](int64_t c) { return pivot[c]; });
  const ChannelTotals totals(view, [&](const Segment& segment, const ChannelSums& sums) {
    kernel(view.rows, input.const_data_ptr(), repeated.data(), segment, sums);
  });
  const Tensor statistics = empty({2, view.channels}, ScalarType::Double);
  double* out = static_cast<double*>(statistics.mutable_data_ptr());
  for (int64_t c = 0; c < view.channels; ++c) {
    const Moments moments =
        moments_about(static_cast<double>(view.count()), pivot[c], totals.first[c], totals.second[c]);
    out[c] = view.count() ? moments.mean : std::numeric_limits<double>::quiet_NaN();
    out[view.channels + c] = moments.deviations;
  }
  return statistics;
}

// ---- normalization
// ---------------------------------------------------------------------------------------------------

// One number a channel, or a constant where the tensor is missing.
struct ChannelVector {
  Tensor tensor;
  double constant;
  bool given, wide;

  ChannelVector(const std::optional<Tensor>& of, const Tensor& input, double otherwise, const char* name)
      : constant(otherwise), given(of.has_value()), wide(input.scalar_type() == ScalarType::Double) {
    if (!given) return;
    check_channel_vector(*of, input.size(1), accumulation_type(input), name);
    tensor = dense(*of);
  }
  double operator[](int64_t c) const {
    if (!given) return constant;
    return wide ? static_cast<const double*>(tensor.const_data_ptr())[c]
                : static_cast<const float*>(tensor.const_data_ptr())[c];
  }
};

struct BatchNormInputs {
  Tensor input;
  ChannelVector mean, invstd, weight, bias;
  ChannelView view;

  BatchNormInputs(const Tensor& input_, const Tensor& mean_, const Tensor& invstd_,
                  const std::optional<Tensor>& weight_, const std::optional<Tensor>& bias_)
      : input(dense_channels(input_)),
        mean(mean_, input, 0.0, "mean"),
        invstd(invstd_, input, 1.0, "invstd"),
        weight(weight_, input, 1.0, "weight"),
        bias(bias_, input, 0.0, "bias"),
        view(input) {}
};

// The parameters' arrays in the accumulation type, and the arguments that point at them.
template <class A>
struct BatchNormCall {
  std::vector<A> mean, scale, bias, grad_mean, projection;
  BatchNormArguments arguments{};

  BatchNormCall(const BatchNormInputs& in, int64_t activation, double negative_slope)
      : mean(in.view.repeated<A>([&](int64_t c) { return in.mean[c]; })),
        scale(in.view.repeated<A>([&](int64_t c) { return in.invstd[c] * in.weight[c]; })),
        bias(in.view.repeated<A>([&](int64_t c) { return in.bias[c]; })) {
    STD_TORCH_CHECK(activation >= 0 && activation < kActivations,
                    "deepgen_fast: activation must be 0 (none), 1 (relu),"
                    " 2 (leaky relu), 3 (tanh) or 4 (sigmoid), got ",
                    activation);
    arguments.rows = in.view.rows;
    arguments.input = in.input.const_data_ptr();
    arguments.activation = static_cast<int>(activation);
    arguments.negative_slope = negative_slope;
    arguments.mean = mean.data();
    arguments.scale = scale.data();
    arguments.bias = bias.data();
  }
};

// Chooses the accumulation type once: body receives one value of it.
template <class F>
void with_accumulation_type(const Tensor& input, F body) {
  if (input.scalar_type() == ScalarType::Double)
    body(double{});
  else
    body(float{});
}

// What a training step keeps of the statistics of `count` numbers a channel: mean and 1 / standard deviation, in
// float64 if `wide`, else float32; and the running statistics moved, as PyTorch moves them, by an exponential average
// that takes the unbiased variance.
std::tuple<Tensor, Tensor> batch_norm_moments(const Tensor& statistics, int64_t numbers, bool wide,
                                              std::optional<Tensor> running_mean, std::optional<Tensor> running_var,
                                              double momentum, double eps) {
  STD_TORCH_CHECK(statistics.scalar_type() == ScalarType::Double && statistics.dim() == 2 && statistics.size(0) == 2,
                  "deepgen_fast: statistics must be [2, channels] in float64");
  const int64_t channels = statistics.size(1);
  const double count = static_cast<double>(numbers);
  const ScalarType type = wide ? ScalarType::Double : ScalarType::Float;
  const Tensor dense_statistics = dense(statistics);
  const double* mean = static_cast<const double*>(dense_statistics.const_data_ptr());
  const double* deviations = mean + channels;
  const Tensor kept_mean = empty({channels}, type), kept_invstd = empty({channels}, type);
  const auto each = [&](const Tensor& to, auto of_channel) {
    STD_TORCH_CHECK(to.numel() == channels && to.is_contiguous(), "deepgen_fast: running statistics must be dense");
    if (to.scalar_type() == ScalarType::Double) {
      double* data = static_cast<double*>(to.mutable_data_ptr());
      for (int64_t c = 0; c < channels; ++c) data[c] = of_channel(c, data[c]);
    } else {
      STD_TORCH_CHECK(to.scalar_type() == ScalarType::Float,
                      "deepgen_fast: running statistics must be float32 or float64");
      float* data = static_cast<float*>(to.mutable_data_ptr());
      for (int64_t c = 0; c < channels; ++c) data[c] = static_cast<float>(of_channel(c, data[c]));
    }
  };
  each(kept_mean, [&](int64_t c, double) { return mean[c]; });
  each(kept_invstd, [&](int64_t c, double) { return 1.0 / std::sqrt(deviations[c] / std::max(count, 1.0) + eps); });
  if (running_mean && count > 0)
    each(*running_mean, [&](int64_t c, double old) { return old + momentum * (mean[c] - old); });
  if (running_var && count > 0)
    each(*running_var,
         [&](int64_t c, double old) { return old + momentum * (deviations[c] / std::max(count - 1.0, 1.0) - old); });
  return {kept_mean, kept_invstd};
}

void normalize_into(const Tensor& output, const BatchNormInputs& in, int64_t activation, double negative_slope) {
  const auto kernel = batch_norm_kernels().forward[static_cast<int>(element_of(in.input, "input"))];
  with_accumulation_type(in.input, [&](auto zero) {
    BatchNormCall<decltype(zero)> call(in, activation, negative_slope);
    call.arguments.output = output.mutable_data_ptr();
    const std::vector<Segment> segments = in.view.segments(kGrain, std::numeric_limits<int32_t>::max());
    over_segments(segments, [&](int64_t i) { kernel(call.arguments, segments[i]); });
  });
}

Tensor batch_norm_act(const Tensor& input, const Tensor& mean, const Tensor& invstd, std::optional<Tensor> weight,
                      std::optional<Tensor> bias, int64_t activation, double negative_slope) {
  check_input(input);
  const BatchNormInputs in(input, mean, invstd, weight, bias);
  const Tensor output = empty_strided_like(in.input);
  normalize_into(output, in, activation, negative_slope);
  return output;
}

// Over the input itself, where nobody needs it any more: no fresh memory, and half the traffic.
void batch_norm_act_(const Tensor& input, const Tensor& mean, const Tensor& invstd, std::optional<Tensor> weight,
                     std::optional<Tensor> bias, int64_t activation, double negative_slope) {
  check_input(input);
  const BatchNormInputs in(input, mean, invstd, weight, bias);
  STD_TORCH_CHECK(in.input.const_data_ptr() == input.const_data_ptr(),
                  "deepgen_fast: input must be dense to be normalized in place");
  normalize_into(input, in, activation, negative_slope);
}

std::tuple<Tensor, Tensor, Tensor> batch_norm_act_backward(const Tensor& grad_output, const Tensor& input,
                                                           const Tensor& mean, const Tensor& invstd,
                                                           std::optional<Tensor> weight, std::optional<Tensor> bias,
                                                           int64_t activation, double negative_slope, bool training,
                                                           bool need_input, bool need_affine) {
  check_input(input);
  const int element = static_cast<int>(element_of(input, "input"));
  STD_TORCH_CHECK(grad_output.scalar_type() == input.scalar_type(),
                  "deepgen_fast: grad_output must have the input's dtype");
  STD_TORCH_CHECK(sizes_of(grad_output) == sizes_of(input), "deepgen_fast: grad_output must have the input's shape");
  const BatchNormInputs in(input, mean, invstd, weight, bias);
  const Tensor grad = dense_channels_like(grad_output, in.input);
  const Tensor grad_input = need_input ? empty_strided_like(in.input) : nothing(input);
  const ScalarType wide = accumulation_type(input);
  const int64_t channels = in.view.channels;
  const Tensor grad_weight = empty({need_affine ? channels : 0}, wide),
               grad_bias = empty({need_affine ? channels : 0}, wide);
  with_accumulation_type(input, [&](auto zero) {
    using A = decltype(zero);
    BatchNormCall<A> call(in, activation, negative_slope);
    BatchNormArguments& arguments = call.arguments;
    arguments.grad_output = grad.const_data_ptr();
    if (need_affine || (need_input && training)) {
      const auto kernel = batch_norm_kernels().backward_sums[element];
      const ChannelTotals totals(
          in.view, [&](const Segment& segment, const ChannelSums& sums) { kernel(arguments, segment, sums); });
      if (need_affine) {
        A* to_weight = static_cast<A*>(grad_weight.mutable_data_ptr());
        A* to_bias = static_cast<A*>(grad_bias.mutable_data_ptr());
        for (int64_t c = 0; c < channels; ++c) {
          to_weight[c] = static_cast<A>(totals.second[c] * in.invstd[c]);
          to_bias[c] = static_cast<A>(totals.first[c]);
        }
      }
      if (need_input && training) {
        const double count = static_cast<double>(in.view.count());
        call.grad_mean = in.view.repeated<A>([&](int64_t c) { return batch_norm_grad_mean(totals.first[c], count); });
        call.projection = in.view.repeated<A>(
            [&](int64_t c) { return batch_norm_projection(totals.second[c], in.invstd[c], count); });
        arguments.grad_mean = call.grad_mean.data();
        arguments.projection = call.projection.data();
      }
    }
    if (need_input) {
      const auto kernel = batch_norm_kernels().backward[element];
      arguments.output = grad_input.mutable_data_ptr();
      const std::vector<Segment> segments = in.view.segments(kGrain, std::numeric_limits<int32_t>::max());
      over_segments(segments, [&](int64_t i) { kernel(arguments, segments[i]); });
    }
  });
  return {grad_input, grad_weight, grad_bias};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(deepgen_fast, m) {
  m.def("channel_statistics(Tensor input) -> Tensor");
  m.def(
      "batch_norm_act(Tensor input, Tensor mean, Tensor invstd, Tensor? weight, Tensor? bias, int activation, "
      "float negative_slope) -> Tensor");
  m.def(
      "batch_norm_act_(Tensor(a!) input, Tensor mean, Tensor invstd, Tensor? weight, Tensor? bias, int activation, "
      "float negative_slope) -> ()");
  m.def(
      "batch_norm_moments(Tensor statistics, int count, bool wide, Tensor(a!)? running_mean, Tensor(b!)? running_var, "
      "float momentum, float eps) -> (Tensor, Tensor)");
  m.def(
      "batch_norm_act_backward(Tensor grad_output, Tensor input, Tensor mean, Tensor invstd, Tensor? weight, "
      "Tensor? bias, int activation, float negative_slope, bool training, bool need_input, bool need_affine) "
      "-> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(deepgen_fast, CPU, m) {
  m.impl("channel_statistics", TORCH_BOX(&channel_statistics));
  m.impl("batch_norm_act", TORCH_BOX(&batch_norm_act));
  m.impl("batch_norm_act_", TORCH_BOX(&batch_norm_act_));
  m.impl("batch_norm_moments", TORCH_BOX(&batch_norm_moments));
  m.impl("batch_norm_act_backward", TORCH_BOX(&batch_norm_act_backward));
}

}  // namespace dgf
