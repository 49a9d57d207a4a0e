#include "cuda/activation_call.h"
#include "cuda/rows.cuh"
#include "ops/batch_norm_act/kernels.cuh"

namespace dgf::cuda {
namespace {

// A batch [N, C, ...] as rows of channels.
struct ChannelRows {
  int64_t channels, rows;

  explicit ChannelRows(const Tensor& input) : channels(0), rows(0) {
    STD_TORCH_CHECK(input.dim() >= 2, "deepgen_fast (cuda): input must have a batch and a channel dimension, got ",
                    input.dim(), " dimensions");
    channels = input.size(1);
    rows = channels ? input.numel() / channels : 0;
  }
};

// A batch of sequences or volumes as one of images; a matrix and images as they are.
Tensor as_images(const Tensor& batch) {
  if (batch.dim() == 2 || batch.dim() == 4) return batch;
  int64_t positions = 1;
  for (int64_t i = 2; i < batch.dim(); ++i) positions *= batch.size(i);
  return torch::stable::reshape(batch, {batch.size(0), batch.size(1), 1, positions});
}

Tensor shaped_as(const Tensor& images, const Tensor& batch) {
  return images.dim() == batch.dim() ? images : torch::stable::reshape(images, sizes_of(batch));
}

template <class T>
NormParameters<Compute<T>> norm_parameters(const Launcher& launcher, int64_t channels, const Tensor& mean,
                                           const Tensor& invstd, const OptionalTensor& weight,
                                           const OptionalTensor& bias, int64_t activation, double negative_slope) {
  using C = Compute<T>;
  check_activation(activation);
  return {launcher.input<C>(mean, channels, "mean"),
          launcher.input<C>(invstd, channels, "invstd"),
          launcher.input<C>(weight, channels, "weight"),
          launcher.input<C>(bias, channels, "bias"),
          static_cast<int>(activation),
          static_cast<C>(negative_slope)};
}

template <class T>
bool aligned(const NormParameters<Compute<T>>& norm, int64_t channels, const T* first, const T* second,
             const T* third = nullptr) {
  Alignment<T> alignment(channels);
  alignment.with(first).with(second).with(third);
  alignment.with(norm.mean).with(norm.invstd).with(norm.weight).with(norm.bias);
  return bool(alignment);
}

Tensor channel_statistics(const Tensor& input) {
  const ChannelRows shape(input);
  return dispatch_floating(input, "input", [&](auto type) {
    using T = decltype(type);
    const Launcher launcher(input);
    Tensor statistics = new_tensor(input, {2, shape.channels}, ScalarType::Double);
    const StatisticsBody<T> body{launcher.pixels<T>(as_images(input), "input"), shape.channels};
    reduce_channels(launcher, body, shape.rows, shape.channels, bool(Alignment<T>(shape.channels).with(body.input)),
                    mutable_data<double>(statistics), 2);
    if (shape.rows == 0) {  // the mean of nothing, as in eager
      Tensor mean = torch::stable::narrow(statistics, 0, 0, 1);
      torch::stable::fill_(mean, std::numeric_limits<double>::quiet_NaN());
    }
    return statistics;
  });
}

Tensor batch_norm_act(const Tensor& input, const Tensor& mean, const Tensor& invstd, const OptionalTensor& weight,
                      const OptionalTensor& bias, int64_t activation, double negative_slope) {
  const ChannelRows shape(input);
  return dispatch_floating(input, "input", [&](auto type) {
    using T = decltype(type);
    const Launcher launcher(input);
    const Tensor images = as_images(input), output = new_channels_last(images, sizes_of(images), kScalarType<T>);
    BatchNormBody<T> body{};
    body.norm = norm_parameters<T>(launcher, shape.channels, mean, invstd, weight, bias, activation, negative_slope);
    body.input = launcher.pixels<T>(images, "input");
    body.output = mutable_data<T>(output);
    body.row_length = shape.channels;
    run_channels(launcher, body, shape.rows, shape.channels,
                 aligned<T>(body.norm, shape.channels, body.input, body.output));
    return shaped_as(output, input);
  });
}

std::tuple<Tensor, Tensor, Tensor> batch_norm_act_backward(const Tensor& grad_output, const Tensor& input,
                                                           const Tensor& mean, const Tensor& invstd,
                                                           const OptionalTensor& weight, const OptionalTensor& bias,
                                                           int64_t activation, double negative_slope, bool training,
                                                           bool need_input, bool need_affine) {
  const ChannelRows shape(input);
  const int64_t channels = shape.channels;
  STD_TORCH_CHECK(sizes_of(grad_output) == sizes_of(input),
                  "deepgen_fast (cuda): grad_output must have the shape of input");
  return dispatch_floating(input, "input", [&](auto type) -> std::tuple<Tensor, Tensor, Tensor> {
    using T = decltype(type);
    using C = Compute<T>;
    const Launcher launcher(input);
    const Tensor images = as_images(input);
    const Tensor grad_input = need_input ? new_channels_last(images, sizes_of(images), kScalarType<T>)
                                         : new_tensor(input, {0}, kScalarType<T>);
    const Tensor grad_weight = new_tensor(input, {need_affine ? channels : 0}, kScalarType<C>);
    const Tensor grad_bias = new_tensor(input, {need_affine ? channels : 0}, kScalarType<C>);
    const auto norm = norm_parameters<T>(launcher, channels, mean, invstd, weight, bias, activation, negative_slope);
    const T* grad = launcher.pixels<T>(as_images(grad_output), "grad_output");
    const T* read = launcher.pixels<T>(images, "input");
    const bool vectorized = aligned<T>(norm, channels, grad, read, need_input ? mutable_data<T>(grad_input) : nullptr);
    const bool need_sums = need_affine || (need_input && training);
    const auto sums = launcher.scratch<double>(need_sums ? 2 * channels : 0);
    if (need_sums) {
      const BatchNormSumsBody<T> body{norm, grad, read, channels};
      reduce_channels(launcher, body, shape.rows, channels, vectorized, sums.data, 2);
    }
    if (need_affine && channels > 0)
      launcher.launch(&affine_gradients_kernel<C>, (channels + kChannelThreads - 1) / kChannelThreads, kChannelThreads,
                      static_cast<const double*>(sums.data), norm.invstd, channels, mutable_data<C>(grad_weight),
                      mutable_data<C>(grad_bias));
    if (need_input) {
      BatchNormBackwardBody<T> body{};
      body.norm = norm;
      body.grad_output = grad;
      body.input = read;
      body.sums = training ? sums.data : nullptr;
      body.count = static_cast<double>(shape.rows);
      body.grad_input = mutable_data<T>(grad_input);
      body.row_length = channels;
      run_channels(launcher, body, shape.rows, channels, vectorized);
    }
    return {need_input ? shaped_as(grad_input, input) : grad_input, grad_weight, grad_bias};
  });
}

DGF_CUDA_LIBRARY(m) {
  m.impl("channel_statistics", TORCH_BOX(&channel_statistics));
  m.impl("batch_norm_act", TORCH_BOX(&batch_norm_act));
  m.impl("batch_norm_act_backward", TORCH_BOX(&batch_norm_act_backward));
}

}  // namespace
}  // namespace dgf::cuda
