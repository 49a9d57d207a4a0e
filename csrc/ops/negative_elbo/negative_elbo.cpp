// Schema and CPU launcher of negative_elbo: the loss and all its gradients in one pass over pixels and latents.
#include <torch/csrc/stable/library.h>

#include "math/weighted.h"
#include "cpu/likelihood_launch.h"
#include "ops/bernoulli_log_likelihood/arguments.h"
#include "ops/gaussian_log_likelihood/arguments.h"
#include "ops/reparameterize_kl/posterior_launch.h"

namespace dgf {
namespace {

constexpr int64_t kBernoulli = 0, kGaussian = 1;

// Free bits (Kingma et al. 2016, equation 15): per latent dimension, the batch's mean KL counts at least free_bits.
// Adds up the penalty and marks the dimensions whose gradient flows. Columns are walked in a fixed order.
double free_bits_penalty(const Tensor& kl_values, const Rows& view, double free_bits, std::vector<uint8_t>& active) {
  std::vector<double> means(view.columns, 0.0);
  const bool wide = kl_values.scalar_type() == ScalarType::Double;
  for (int64_t row = 0; row < view.rows; ++row)
    for (int64_t column = 0; column < view.columns; ++column) {
      const int64_t at = row * view.columns + column;
      means[column] += wide ? static_cast<const double*>(kl_values.const_data_ptr())[at]
                            : static_cast<const float*>(kl_values.const_data_ptr())[at];
    }
  active.resize(view.columns);
  const auto rounded = [wide](double x) { return wide ? x : static_cast<double>(static_cast<float>(x)); };
  const double floor = rounded(free_bits);
  double penalty = 0.0;
  for (int64_t column = 0; column < view.columns; ++column) {
    // In the accumulation type, so that all backends agree on which side of the floor a mean is.
    const double mean = view.rows ? rounded(means[column] / static_cast<double>(view.rows)) : 0.0;
    active[column] = mean >= floor;          // at the floor the gradient flows, as clamp has it in torch
    penalty += mean < floor ? floor : mean;  // NaN stays NaN
  }
  return penalty;
}

// The gradient that arrives at the loss; the gradients are rounded to their tensors' type after it has been applied.
double incoming_gradient(const std::optional<Tensor>& grad_loss, ScalarType type) {
  if (!grad_loss) return 1.0;
  STD_TORCH_CHECK(grad_loss->scalar_type() == type, "deepgen_fast: grad_loss must have the loss's dtype");
  check_numel(*grad_loss, 1, "grad_loss");
  const void* data = grad_loss->const_data_ptr();
  return type == ScalarType::Double ? *static_cast<const double*>(data) : *static_cast<const float*>(data);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> negative_elbo(
    const Tensor& decoder_output, const Tensor& target, std::optional<Tensor> likelihood_logvar,
    std::optional<Tensor> mask, const Tensor& mean, const Tensor& scale, std::optional<Tensor> prior_mean,
    std::optional<Tensor> prior_logvar, double beta, double free_bits, int64_t likelihood, int64_t scale_kind,
    bool mean_reduction, bool need_gradients, std::optional<Tensor> grad_loss) {
  STD_TORCH_CHECK(likelihood == kBernoulli || likelihood == kGaussian,
                  "deepgen_fast: likelihood must be 0 (Bernoulli) or 1 (Gaussian), got ", likelihood);
  const LikelihoodInputs pixels(decoder_output, target, likelihood_logvar, mask);
  const PosteriorInputs latents(mean, scale, prior_mean, prior_logvar, scale_kind);
  const int64_t batch = latents.view.rows;
  STD_TORCH_CHECK(target.size(0) == batch, "deepgen_fast: target and mean must have one batch size");
  STD_TORCH_CHECK(accumulation_type(pixels.output) == accumulation_type(latents.mean),
                  "deepgen_fast: decoder_output and mean must both be float64, or neither");
  const int64_t samples = batch ? pixels.view.rows / batch : 1;
  const double per_example = mean_reduction ? 1.0 / static_cast<double>(batch) : 1.0;
  const bool bernoulli = likelihood == kBernoulli;
  const double incoming = incoming_gradient(grad_loss, accumulation_type(pixels.output));

  // Pixels: the loss holds minus the log-likelihood, averaged over samples (13.23).
  LikelihoodArguments pixel_arguments = pixels.arguments;
  pixel_arguments.grad_scale = incoming * -per_example / static_cast<double>(samples);
  LikelihoodGradients pixel_gradients(pixels, need_gradients, false, need_gradients && pixels.logvar.has_value());
  pixel_gradients.bind(pixel_arguments);
  const LikelihoodKernels& table = bernoulli ? bernoulli_kernels() : gaussian_kernels();
  const LikelihoodKernel* pixel_table = need_gradients ? table.values_and_gradients : table.values;
  const LikelihoodKernel pixel_kernel = pixel_table[static_cast<int>(element_of(pixels.output, "decoder_output"))];
  std::vector<double> log_likelihood =
      over_rows(pixels.view, 1, [&](const Span& span) { pixel_kernel(pixel_arguments, span); });
  pixel_gradients.finish(pixels);
  for (int64_t sample = 1; sample < samples; ++sample)
    for (int64_t row = 0; row < batch; ++row) log_likelihood[row] += log_likelihood[sample * batch + row];

  // Latents.
  PosteriorArguments latent_arguments = latents.arguments;
  latent_arguments.grad_kl_scale = incoming * beta * per_example;
  const PosteriorKernel latent_kernel = latents.choose(reparameterize_kl_kernels().kl_with_gradient);
  const auto walk_latents = [&] {
    return over_rows(latents.view, kPosteriorWeight, [&](const Span& span) { latent_kernel(latent_arguments, span); });
  };
  double penalty = 0.0;
  std::vector<uint8_t> active;
  if (free_bits > 0.0) {  // which columns are active must be known before any gradient is written
    const Tensor kl_values = empty_shaped(latents.mean, accumulation_type(latents.mean));
    latent_arguments.kl_values = kl_values.mutable_data_ptr();
    walk_latents();
    latent_arguments.kl_values = nullptr;
    penalty = free_bits_penalty(kl_values, latents.view, free_bits, active);
    latent_arguments.grad_kl_active = active.data();
  }
  const Tensor grad_mean = need_gradients ? empty_shaped(latents.mean, latents.mean.scalar_type()) : nothing(mean);
  const Tensor grad_scale = need_gradients ? empty_shaped(latents.mean, latents.mean.scalar_type()) : nothing(mean);
  if (need_gradients) {
    latent_arguments.grad_mean = grad_mean.mutable_data_ptr();
    latent_arguments.grad_scale = grad_scale.mutable_data_ptr();
  }
  const std::vector<double> kl = walk_latents();

  double reconstruction = 0.0, kl_sum = 0.0;
  for (int64_t row = 0; row < batch; ++row) reconstruction += log_likelihood[row] / static_cast<double>(samples);
  for (int64_t row = 0; row < batch; ++row) kl_sum += kl[row];
  const double kl_term =
      free_bits > 0.0 ? (mean_reduction ? penalty : penalty * static_cast<double>(batch)) : kl_sum * per_example;

  const ScalarType type = accumulation_type(pixels.output);
  const Tensor loss = empty({}, type);
  const Tensor log_likelihood_out = empty({batch}, type);
  const Tensor kl_out = empty({batch}, accumulation_type(latents.mean));
  // Without a weight the KL is left out, whatever it is: it may have overflowed.
  store_rows({weighted(beta, kl_term) - reconstruction * per_example}, 1, 1.0, loss);
  store_rows(log_likelihood, batch, 1.0 / static_cast<double>(samples), log_likelihood_out);
  store_rows(kl, batch, 1.0, kl_out);
  return {loss, log_likelihood_out, kl_out, pixel_gradients.output, pixel_gradients.logvar, grad_mean, grad_scale};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(deepgen_fast, m) {
  m.def(
      "negative_elbo(Tensor decoder_output, Tensor target, Tensor? likelihood_logvar, Tensor? mask, Tensor mean, "
      "Tensor scale, Tensor? prior_mean, Tensor? prior_logvar, float beta, float free_bits, int likelihood, "
      "int scale_kind, bool mean_reduction, bool need_gradients, Tensor? grad_loss) -> (Tensor loss, Tensor "
      "log_likelihood, Tensor kl, "
      "Tensor grad_decoder_output, Tensor grad_likelihood_logvar, Tensor grad_mean, Tensor grad_scale)");
}

STABLE_TORCH_LIBRARY_IMPL(deepgen_fast, CPU, m) { m.impl("negative_elbo", TORCH_BOX(&negative_elbo)); }

}  // namespace dgf
