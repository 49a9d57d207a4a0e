#include "ops/reparameterize_kl/posterior_call.h"
#include "ops/reparameterize_kl/kernels.cuh"

namespace dgf::cuda {
namespace {

std::vector<int64_t> with_samples(const Tensor& mean, std::optional<int64_t> num_samples) {
  std::vector<int64_t> sizes = sizes_of(mean);
  if (num_samples.has_value()) sizes.insert(sizes.begin(), *num_samples);
  return sizes;
}

template <class T>
NoiseSource<T> noise_source(const Launcher& launcher, const OptionalTensor& noise, const OptionalTensor& seed,
                            int64_t numel) {
  STD_TORCH_CHECK(noise.has_value() || seed.has_value(), "deepgen_fast (cuda): noise or seed must be given");
  return {launcher.input<T>(noise, numel, "noise"), launcher.input<int64_t>(seed, 1, "seed")};
}

// Samples that one row of the grid handles: all of them, unless the batch alone would leave the GPU idle.
int64_t samples_per_group(int64_t samples, int64_t batch, int64_t packs, int multiprocessors) {
  constexpr int64_t kThreads = 2048;  // resident on a multiprocessor
  const int64_t wanted = kThreads * multiprocessors / std::max<int64_t>(1, batch * packs);
  const int64_t groups = std::min(samples, std::max<int64_t>(1, wanted));
  return groups > 0 ? (samples + groups - 1) / groups : 1;
}

std::tuple<Tensor, Tensor> reparameterize_kl(const Tensor& mean, const Tensor& scale, const OptionalTensor& prior_mean,
                                             const OptionalTensor& prior_logvar, const OptionalTensor& noise,
                                             const OptionalTensor& seed, std::optional<int64_t> num_samples,
                                             int64_t scale_kind, bool elementwise_kl) {
  const PosteriorShape shape(mean);
  return dispatch_floating(mean, "mean", [&](auto type) -> std::tuple<Tensor, Tensor> {
    using T = decltype(type);
    using C = Compute<T>;
    const Launcher launcher(mean);
    const Tensor z = new_tensor(mean, with_samples(mean, num_samples), kScalarType<T>);
    const Tensor kl =
        new_tensor(mean, elementwise_kl ? sizes_of(mean) : std::vector<int64_t>{shape.batch}, kScalarType<C>);
    ReparameterizeForward<T> body{};
    body.inputs = posterior_inputs<T>(launcher, shape, mean, scale, prior_mean, prior_logvar, scale_kind);
    body.batch = shape.batch;
    body.samples = num_samples.value_or(1);
    body.noise = noise_source<T>(launcher, noise, seed, z.numel());
    body.samples_per_group =
        samples_per_group(body.samples, shape.batch, shape.columns / kPack<T> + 1, launcher.multiprocessors());
    body.z = mutable_data<T>(z);
    body.kl_elements = elementwise_kl ? mutable_data<C>(kl) : nullptr;
    const int64_t groups = std::max<int64_t>(1, (body.samples + body.samples_per_group - 1) / body.samples_per_group);
    run_rows(launcher, body, groups * shape.batch, shape.columns, bool(body.alignment()),
             elementwise_kl ? nullptr : mutable_data<C>(kl), shape.batch);
    return {z, kl};
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor> reparameterize_kl_backward(
    const OptionalTensor& grad_z, const OptionalTensor& grad_kl, const Tensor& mean, const Tensor& scale,
    const OptionalTensor& prior_mean, const OptionalTensor& prior_logvar, const OptionalTensor& noise,
    const OptionalTensor& seed, std::optional<int64_t> num_samples, int64_t scale_kind, bool elementwise_kl,
    bool need_prior) {
  const PosteriorShape shape(mean);
  return dispatch_floating(mean, "mean", [&](auto type) -> std::tuple<Tensor, Tensor, Tensor, Tensor> {
    using T = decltype(type);
    using C = Compute<T>;
    const Launcher launcher(mean);
    const std::vector<int64_t> sizes = sizes_of(mean), prior_sizes = need_prior ? sizes : std::vector<int64_t>{0};
    const Tensor grad_mean = new_tensor(mean, sizes, kScalarType<T>);
    const Tensor grad_scale = new_tensor(mean, sizes, kScalarType<T>);
    const Tensor grad_prior_mean = new_tensor(mean, prior_sizes, kScalarType<C>);
    const Tensor grad_prior_logvar = new_tensor(mean, prior_sizes, kScalarType<C>);
    ReparameterizeBackward<T> body{};
    body.inputs = posterior_inputs<T>(launcher, shape, mean, scale, prior_mean, prior_logvar, scale_kind);
    body.batch = shape.batch;
    body.samples = num_samples.value_or(1);
    const int64_t latents = shape.batch * shape.columns, draws = body.samples * latents;
    if (grad_z.has_value()) body.noise = noise_source<T>(launcher, noise, seed, draws);
    body.grad_z = launcher.input<T>(grad_z, draws, "grad_z");
    body.grad_kl = launcher.input<C>(grad_kl, elementwise_kl ? latents : shape.batch, "grad_kl");
    body.elementwise_kl = elementwise_kl;
    body.grad_mean = mutable_data<T>(grad_mean);
    body.grad_scale = mutable_data<T>(grad_scale);
    body.grad_prior_mean = need_prior ? mutable_data<C>(grad_prior_mean) : nullptr;
    body.grad_prior_logvar = need_prior ? mutable_data<C>(grad_prior_logvar) : nullptr;
    run_rows(launcher, body, shape.batch, shape.columns, bool(body.alignment()), static_cast<C*>(nullptr));
    return {grad_mean, grad_scale, grad_prior_mean, grad_prior_logvar};
  });
}

Tensor philox_normal(const Tensor& seed, std::vector<int64_t> size, bool samples) {
  const Launcher launcher(seed);
  const Tensor noise = new_tensor(seed, size, ScalarType::Float);
  const size_t leading = samples ? 2 : 1;
  STD_TORCH_CHECK(size.size() >= leading, "deepgen_fast (cuda): philox_normal needs a batch dimension",
                  samples ? " and a sample dimension" : "");
  int64_t rows = 1, columns = 1;
  for (size_t i = 0; i < size.size(); ++i) (i < leading ? rows : columns) *= size[i];
  NoiseBody body{launcher.input<int64_t>(seed, 1, "seed"), std::max<int64_t>(1, size[leading - 1]), columns,
                 mutable_data<float>(noise)};
  run_rows(launcher, body, rows, columns, bool(Alignment<float>(columns).with(body.noise)),
           static_cast<float*>(nullptr));
  return noise;
}

DGF_CUDA_LIBRARY(m) {
  m.impl("reparameterize_kl", TORCH_BOX(&reparameterize_kl));
  m.impl("reparameterize_kl_backward", TORCH_BOX(&reparameterize_kl_backward));
  m.impl("philox_normal", TORCH_BOX(&philox_normal));
}

}  // namespace
}  // namespace dgf::cuda
