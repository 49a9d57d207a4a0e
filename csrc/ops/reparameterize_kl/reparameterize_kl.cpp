// Schemas and CPU launchers of reparameterize_kl and of the noise it draws.
#include <torch/csrc/stable/library.h>

#include "ops/reparameterize_kl/posterior_launch.h"

namespace dgf {
namespace {

uint64_t read_seed(const Tensor& seed) {
  STD_TORCH_CHECK(seed.scalar_type() == ScalarType::Long && seed.numel() == 1,
                  "deepgen_fast: seed must be an int64 tensor of one element");
  return static_cast<uint64_t>(*static_cast<const int64_t*>(seed.const_data_ptr()));
}

std::vector<int64_t> sample_sizes(const Tensor& mean, std::optional<int64_t> num_samples) {
  STD_TORCH_CHECK(!num_samples || *num_samples >= 1, "deepgen_fast: num_samples must be at least 1, got ",
                  num_samples.value_or(1));
  std::vector<int64_t> sizes = sizes_of(mean);
  if (num_samples) sizes.insert(sizes.begin(), *num_samples);
  return sizes;
}

// Where the noise comes from: the caller's tensor, or the seed.
void bind_noise(PosteriorArguments& arguments, const PosteriorInputs& in, const std::optional<Tensor>& noise,
                const std::optional<Tensor>& seed, std::optional<int64_t> num_samples) {
  arguments.samples = num_samples.value_or(1);
  if (noise) {
    STD_TORCH_CHECK(noise->scalar_type() == in.mean.scalar_type(), "deepgen_fast: noise must have the dtype of mean");
    check_numel(*noise, in.mean.numel() * arguments.samples, "noise");
    arguments.noise = noise->const_data_ptr();
  } else {
    STD_TORCH_CHECK(seed.has_value(), "deepgen_fast: noise or seed must be given");
    arguments.seed = read_seed(*seed);
  }
}

std::tuple<Tensor, Tensor> reparameterize_kl(const Tensor& mean, const Tensor& scale, std::optional<Tensor> prior_mean,
                                             std::optional<Tensor> prior_logvar, std::optional<Tensor> noise,
                                             std::optional<Tensor> seed, std::optional<int64_t> num_samples,
                                             int64_t scale_kind, bool elementwise_kl) {
  const PosteriorInputs in(mean, scale, prior_mean, prior_logvar, scale_kind);
  const std::optional<Tensor> dense_noise = dense(noise);
  PosteriorArguments arguments = in.arguments;
  bind_noise(arguments, in, dense_noise, seed, num_samples);
  const Tensor z = empty(sample_sizes(in.mean, num_samples), in.mean.scalar_type());
  const Tensor kl = elementwise_kl ? empty_shaped(in.mean, accumulation_type(in.mean))
                                   : empty({in.view.rows}, accumulation_type(in.mean));
  arguments.z = z.mutable_data_ptr();
  if (elementwise_kl) arguments.kl_values = kl.mutable_data_ptr();
  const PosteriorKernel kernel = in.choose(reparameterize_kl_kernels().forward);
  const std::vector<double> sums = over_rows(in.view, kPosteriorWeight * std::max<int64_t>(1, arguments.samples),
                                             [&](const Span& span) { kernel(arguments, span); });
  if (!elementwise_kl) store_rows(sums, in.view.rows, 1.0, kl);
  return {z, kl};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> reparameterize_kl_backward(
    std::optional<Tensor> grad_z, std::optional<Tensor> grad_kl, const Tensor& mean, const Tensor& scale,
    std::optional<Tensor> prior_mean, std::optional<Tensor> prior_logvar, std::optional<Tensor> noise,
    std::optional<Tensor> seed, std::optional<int64_t> num_samples, int64_t scale_kind, bool elementwise_kl,
    bool need_prior) {
  const PosteriorInputs in(mean, scale, prior_mean, prior_logvar, scale_kind);
  const std::optional<Tensor> dense_noise = dense(noise), dense_grad_z = dense(grad_z), dense_grad_kl = dense(grad_kl);
  PosteriorArguments arguments = in.arguments;
  const ScalarType type = in.mean.scalar_type();
  if (grad_z) {
    bind_noise(arguments, in, dense_noise, seed, num_samples);
    STD_TORCH_CHECK(grad_z->scalar_type() == type, "deepgen_fast: grad_z must have the dtype of mean");
    check_numel(*grad_z, in.mean.numel() * arguments.samples, "grad_z");
    arguments.grad_z = dense_grad_z->const_data_ptr();
  }
  if (grad_kl) {
    STD_TORCH_CHECK(grad_kl->scalar_type() == accumulation_type(in.mean),
                    "deepgen_fast: grad_kl must have the accumulation dtype");
    check_numel(*grad_kl, elementwise_kl ? in.mean.numel() : in.view.rows, "grad_kl");
    arguments.grad_kl = dense_grad_kl->const_data_ptr();
    arguments.grad_kl_elementwise = elementwise_kl;
  }
  const Tensor grad_mean = empty_shaped(in.mean, type), grad_scale = empty_shaped(in.mean, type);
  const ScalarType wide = accumulation_type(in.mean);
  Tensor grad_prior_mean = need_prior ? empty_shaped(in.mean, wide) : nothing(in.mean);
  Tensor grad_prior_logvar = need_prior ? empty_shaped(in.mean, wide) : nothing(in.mean);
  arguments.grad_mean = grad_mean.mutable_data_ptr();
  arguments.grad_scale = grad_scale.mutable_data_ptr();
  if (need_prior && grad_kl) {
    arguments.grad_prior_mean = grad_prior_mean.mutable_data_ptr();
    arguments.grad_prior_logvar = grad_prior_logvar.mutable_data_ptr();
  } else if (need_prior) {
    torch::stable::zero_(grad_prior_mean);
    torch::stable::zero_(grad_prior_logvar);
  }
  const PosteriorKernel kernel = in.choose(reparameterize_kl_kernels().backward);
  over_rows(in.view, kPosteriorWeight * std::max<int64_t>(1, arguments.samples),
            [&](const Span& span) { kernel(arguments, span); });
  return {grad_mean, grad_scale, grad_prior_mean, grad_prior_logvar};
}

Tensor philox_normal(const Tensor& seed, std::vector<int64_t> size, bool samples) {
  const Tensor noise = empty(size, ScalarType::Float);
  const int64_t leading = samples ? 2 : 1;
  STD_TORCH_CHECK(static_cast<int64_t>(size.size()) >= leading, "deepgen_fast: size has too few dimensions");
  const Rows view(noise, leading);
  if (view.empty()) return noise;
  const uint64_t key = read_seed(seed);
  const int64_t batch = size[leading - 1];
  float* out = static_cast<float*>(noise.mutable_data_ptr());
  const int64_t grain = std::max<int64_t>(1, kGrain / view.columns);
  torch::stable::parallel_for(0, view.rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end;) {  // a range of rows may cross samples
      const int64_t sample = row / batch, stop = std::min(end, (sample + 1) * batch);
      reparameterize_kl_kernels().philox_normal(key, sample, row - sample * batch, stop - sample * batch, view.columns,
                                                out + sample * batch * view.columns);
      row = stop;
    }
  });
  return noise;
}

}  // namespace

const ReparameterizeKernels& reparameterize_kl_kernels() {
  static const auto& found = choose_kernels<ReparameterizeKernels>(
      {reparameterize_kl_avx2(), reparameterize_kl_avx512(), reparameterize_kl_neon()});
  return found;
}

STABLE_TORCH_LIBRARY_FRAGMENT(deepgen_fast, m) {
  m.def(
      "reparameterize_kl(Tensor mean, Tensor scale, Tensor? prior_mean, Tensor? prior_logvar, Tensor? noise, "
      "Tensor? seed, int? num_samples, int scale_kind, bool elementwise_kl) -> (Tensor z, Tensor kl)");
  m.def(
      "reparameterize_kl_backward(Tensor? grad_z, Tensor? grad_kl, Tensor mean, Tensor scale, Tensor? prior_mean, "
      "Tensor? prior_logvar, Tensor? noise, Tensor? seed, int? num_samples, int scale_kind, bool elementwise_kl, "
      "bool need_prior) -> (Tensor grad_mean, Tensor grad_scale, Tensor grad_prior_mean, Tensor grad_prior_logvar)");
  m.def("philox_normal(Tensor seed, SymInt[] size, bool samples) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(deepgen_fast, CPU, m) {
  m.impl("reparameterize_kl", TORCH_BOX(&reparameterize_kl));
  m.impl("reparameterize_kl_backward", TORCH_BOX(&reparameterize_kl_backward));
  m.impl("philox_normal", TORCH_BOX(&philox_normal));
}

}  // namespace dgf
