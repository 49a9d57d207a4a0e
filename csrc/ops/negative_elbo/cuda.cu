#include "cuda/columns.cuh"
#include "cuda/likelihood_call.h"
#include "ops/reparameterize_kl/posterior_call.h"
#include "ops/bernoulli_log_likelihood/formula.cuh"
#include "ops/gaussian_log_likelihood/formula.cuh"
#include "ops/negative_elbo/kernels.cuh"

namespace dgf::cuda {
namespace {

struct Inputs {
  const Tensor &decoder_output, &target;
  const OptionalTensor &logvar, &mask;
  const Tensor &mean, &scale;
  const OptionalTensor &prior_mean, &prior_logvar;
  double beta, free_bits;
  int64_t scale_kind;
  double example_weight;  // of one example in the loss: 1 / batch for the mean, 1 for the sum
  const OptionalTensor& grad_loss;
};

struct Outputs {
  Tensor loss, log_likelihood, kl, grad_decoder_output, grad_logvar, grad_mean, grad_scale;
};

// The pixels: log-likelihood of every row to sums[0 .. rows), and with kGradient the gradients of the loss.
template <class T, class Formula, bool kGradient>
void run_pixels(const Launcher& launcher, const Inputs& in, const LikelihoodShape& shape, const Outputs& out,
                Compute<T>* sums) {
  using Body = LikelihoodBody<T, Formula, true, kGradient>;
  auto body = likelihood_body<Body>(launcher, shape, in.decoder_output, in.target, in.logvar, in.mask);
  if constexpr (!kGradient) {
    run_rows(launcher, body, shape.rows, shape.columns, bool(body.alignment()), sums);
  } else {
    const int64_t pixels = shape.rows * shape.columns, size = out.grad_logvar.numel();
    const bool full_logvar = Body::kLogvarGradient && size > 0 && !body.shared_logvar;
    // A log-variance that several rows read gets the sum of what its rows would get.
    const auto unsummed = launcher.scratch<Compute<T>>(full_logvar && size < pixels ? pixels : 0);
    const double samples = static_cast<double>(shape.rows) / static_cast<double>(out.kl.numel());
    body.grad_scale = static_cast<Compute<T>>(-in.example_weight / samples);
    body.grad_output = mutable_data<T>(out.grad_decoder_output);
    body.grad_loss = launcher.input<Compute<T>>(in.grad_loss, 1, "grad_loss");
    body.grad_logvar_wide = unsummed.data;
    if (full_logvar && !unsummed.data) body.grad_logvar = mutable_data<T>(out.grad_logvar);
    run_rows(launcher, body, shape.rows, shape.columns, bool(body.alignment()), sums);
    if (unsummed.data)
      sum_columns(launcher, static_cast<const Compute<T>*>(unsummed.data), pixels / size, size,
                  mutable_data<T>(out.grad_logvar));
    if (Body::kLogvarGradient && body.shared_logvar)
      sum_columns(launcher, static_cast<const Compute<T>*>(sums + shape.rows), shape.rows, 1,
                  mutable_data<T>(out.grad_logvar));
  }
}

// The latents: KL of every example, its gradients, and with free bits what they charge, to *penalty.
template <class T>
void run_latents(const Launcher& launcher, const Inputs& in, const Outputs& out, bool need_gradients,
                 Compute<T>* penalty) {
  using C = Compute<T>;
  const PosteriorShape shape(in.mean);
  KlBody<T> body{};
  body.inputs = posterior_inputs<T>(launcher, shape, in.mean, in.scale, in.prior_mean, in.prior_logvar, in.scale_kind);
  body.weight = static_cast<C>(in.beta * in.example_weight);
  body.grad_loss = launcher.input<C>(in.grad_loss, 1, "grad_loss");
  C* kl = mutable_data<C>(out.kl);
  const auto elements = launcher.scratch<C>(penalty ? shape.batch * shape.columns : 0);
  const auto column_means = launcher.scratch<C>(penalty ? shape.columns : 0);
  if (penalty) {
    body.kl_elements = elements.data;
    run_rows(launcher, body, shape.batch, shape.columns, bool(body.alignment()), kl);
    sum_columns(launcher, static_cast<const C*>(elements.data), shape.batch, shape.columns, column_means.data);
    const FreeBitsBody<C> charge{column_means.data, static_cast<C>(shape.batch), static_cast<C>(in.free_bits)};
    run_rows(launcher, charge, 1, shape.columns, bool(Alignment<C>(shape.columns).with(column_means.data)), penalty);
    if (!need_gradients) return;
    // The gradients had to wait for the means: a second pass, over the latents alone.
    body.kl_elements = nullptr;
    body.column_means = column_means.data;
    body.free_bits = charge.free_bits;
    kl = nullptr;
  }
  if (need_gradients) {
    body.grad_mean = mutable_data<T>(out.grad_mean);
    body.grad_scale = mutable_data<T>(out.grad_scale);
  }
  run_rows(launcher, body, shape.batch, shape.columns, bool(body.alignment()), kl);
}

template <class C>
void run_loss(const Launcher& launcher, const Inputs& in, const Outputs& out, int64_t rows, const C* row_log_likelihood,
              const C* penalty) {
  const int64_t batch = out.kl.numel();
  LossBody<C> body{};
  body.sample_log_likelihood = row_log_likelihood;
  body.kl = mutable_data<C>(out.kl);
  body.penalty = penalty;
  body.batch = batch;
  body.samples = batch > 0 ? rows / batch : 1;
  body.weight = static_cast<C>(in.example_weight);
  body.kl_weight = static_cast<C>(in.beta * in.example_weight);
  body.penalty_weight = static_cast<C>(in.beta * in.example_weight * static_cast<double>(batch));
  body.log_likelihood = mutable_data<C>(out.log_likelihood);
  Alignment<C> aligned(batch);
  aligned.with(body.sample_log_likelihood).with(body.kl).with(body.log_likelihood);
  run_rows(launcher, body, 1, batch, bool(aligned), mutable_data<C>(out.loss));
}

// For a batch of no examples, as in eager: a mean over none is NaN; the sum is 0.
void set_empty_loss(Tensor loss, bool takes_mean) {
  torch::stable::fill_(loss, takes_mean ? std::numeric_limits<double>::quiet_NaN() : 0.0);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> negative_elbo(
    const Tensor& decoder_output, const Tensor& target, const OptionalTensor& likelihood_logvar,
    const OptionalTensor& mask, const Tensor& mean, const Tensor& scale, const OptionalTensor& prior_mean,
    const OptionalTensor& prior_logvar, double beta, double free_bits, int64_t likelihood, int64_t scale_kind,
    bool mean_reduction, bool need_gradients, const OptionalTensor& grad_loss) {
  const LikelihoodShape shape(decoder_output, target);
  const int64_t batch = target.size(0);
  const double example_weight = mean_reduction ? 1.0 / static_cast<double>(batch) : 1.0;
  const Inputs in{decoder_output, target, likelihood_logvar, mask,       mean,           scale,    prior_mean,
                  prior_logvar,   beta,   free_bits,         scale_kind, example_weight, grad_loss};
  STD_TORCH_CHECK(mean.size(0) == batch, "deepgen_fast (cuda): target and mean must have one batch size");
  STD_TORCH_CHECK((mean.scalar_type() == ScalarType::Double) == (decoder_output.scalar_type() == ScalarType::Double),
                  "deepgen_fast (cuda): decoder_output and mean must both be float64, or neither");
  return dispatch_floating(decoder_output, "the decoder output", [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    const Launcher launcher(decoder_output);
    const auto gradient_of = [&](const OptionalTensor& tensor) {
      if (!need_gradients || !tensor.has_value()) return new_tensor(decoder_output, {0}, kScalarType<T>);
      return new_tensor(*tensor, sizes_of(*tensor), tensor->scalar_type());
    };
    const Outputs out{new_tensor(mean, {}, kScalarType<C>),
                      new_tensor(mean, {batch}, kScalarType<C>),
                      new_tensor(mean, {batch}, kScalarType<C>),
                      gradient_of(decoder_output),
                      gradient_of(likelihood_logvar),
                      gradient_of(mean),
                      gradient_of(scale)};
    const auto sums = launcher.scratch<C>(2 * std::max<int64_t>(1, shape.rows));
    const auto penalty = launcher.scratch<C>(free_bits > 0.0 ? 1 : 0);
    const auto run = [&](auto formula) {
      using Formula = decltype(formula);
      if (need_gradients) {
        run_pixels<T, Formula, true>(launcher, in, shape, out, sums.data);
      } else {
        run_pixels<T, Formula, false>(launcher, in, shape, out, sums.data);
      }
    };
    likelihood == 0 ? run(BernoulliFormula{}) : run(GaussianFormula{});
    dispatch_floating(mean, "mean", [&](auto latent) {
      using L = decltype(latent);
      if constexpr (std::is_same_v<Compute<L>, C>) run_latents<L>(launcher, in, out, need_gradients, penalty.data);
    });
    run_loss<C>(launcher, in, out, shape.rows, sums.data, penalty.data);
    if (batch == 0) set_empty_loss(out.loss, mean_reduction);
    return std::make_tuple(out.loss, out.log_likelihood, out.kl, out.grad_decoder_output, out.grad_logvar,
                           out.grad_mean, out.grad_scale);
  });
}

DGF_CUDA_LIBRARY(m) { m.impl("negative_elbo", TORCH_BOX(&negative_elbo)); }

}  // namespace
}  // namespace dgf::cuda
