// The likelihoods, the posterior and the noise: every entry of CpuKernels.
#pragma once

#include "ops/bernoulli_log_likelihood/arguments.h"
#include "ops/gaussian_log_likelihood/arguments.h"
#include "ops/reparameterize_kl/arguments.h"
#include "values.h"

namespace check {

struct RowShape {
  int64_t rows, columns, repeat, chunk;  // operands that repeat have rows / repeat rows
};
constexpr RowShape kRowShapes[] = {{1, 1, 1, 64},  {3, 7, 3, 64},   {4, 16, 2, 64},
                                   {6, 33, 3, 64}, {4, 131, 1, 64}, {2, 1029, 2, 4096}};

// Calls kernel(span) for all chunks of all rows, and reports the row sums.
template <class F>
void over_spans(const RowShape& s, F kernel) {
  const int64_t chunks = (s.columns + s.chunk - 1) / s.chunk;
  std::vector<double> partial(s.rows * chunks, 0.0);
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    kernel(dgf::Span{0, s.rows, chunk * s.chunk, std::min((chunk + 1) * s.chunk, s.columns), chunk, chunks,
                     partial.data()});
  report.add(partial.data(), s.rows * chunks);
}

template <class T>
void likelihoods(const dgf::LikelihoodKernels& bernoulli, const dgf::LikelihoodKernels& gaussian) {
  using A = Accumulate<T>;
  struct Entry {
    const char* name;
    const dgf::LikelihoodKernel* kernels;
    bool gaussian, gradient;
  };
  const Entry entries[] = {{"bernoulli.values", bernoulli.values, false, false},
                           {"bernoulli.gradients", bernoulli.gradients, false, true},
                           {"bernoulli.values_and_gradients", bernoulli.values_and_gradients, false, true},
                           {"gaussian.values", gaussian.values, true, false},
                           {"gaussian.gradients", gaussian.gradients, true, true},
                           {"gaussian.values_and_gradients", gaussian.values_and_gradients, true, true}};
  for (const Entry& entry : entries)
    for (const RowShape& s : kRowShapes)
      for (int option = 0; option < 12; ++option) {
        const int64_t count = s.rows * s.columns, repeated = count / s.repeat;
        const bool special = option % 2;
        const int kind = option % 3, logvar_kind = entry.gaussian ? option / 2 % 3 : 0;
        const auto output = numbers<T>(count, 1, special);
        const auto same = numbers<T>(repeated, 2, special);
        const auto wide = numbers<float>(repeated, 3, special);
        const auto bytes = flags(repeated, 4), mask = flags(repeated, 5);
        const auto logvar = numbers<T>(count, 6, special);
        const auto grad = numbers<A>(count, 7, special);
        Buffer<A> values(count), grad_target(count), wide_grad_logvar(count);
        Buffer<T> grad_output(count), grad_logvar(count);
        std::vector<double> shared(s.rows * ((s.columns + s.chunk - 1) / s.chunk), 0.0);
        dgf::LikelihoodArguments a{};
        a.output = output.data;
        a.target = {kind == 0   ? (const void*)same.data
                    : kind == 1 ? (const void*)wide.data
                                : bytes.data,
                    s.rows / s.repeat, static_cast<dgf::TargetKind>(kind)};
        a.logvar = {logvar_kind ? logvar.data : nullptr, logvar_kind == 1 ? 1 : s.rows};
        a.logvar_scalar = logvar_kind == 1;
        a.mask = {option >= 6 ? mask.data : nullptr, s.rows / s.repeat};
        a.columns = s.columns;
        if (entry.gradient) {
          a.grad = option % 4 == 3 ? nullptr : grad.data;
          a.grad_elementwise = option % 4 == 2;
          a.grad_scale = -0.375;
          a.grad_output = grad_output.data;
          a.grad_target = option % 4 == 1 ? nullptr : grad_target.data;
          a.grad_logvar_wide = option >= 6;
          void* full = a.grad_logvar_wide ? (void*)wide_grad_logvar.data : grad_logvar.data;
          if (logvar_kind) a.grad_logvar = logvar_kind == 1 ? (void*)shared.data() : full;
        } else if (option % 4 < 2) {
          a.values = values.data;
        }
        report.begin(named<T>("LikelihoodKernels", entry.name),
                     std::to_string(s.columns) + "/" + std::to_string(option));
        over_spans(s, [&](const dgf::Span& span) { entry.kernels[element<T>()](a, span); });
        report.add(values);
        report.add(grad_output);
        report.add(grad_target);
        report.add(grad_logvar);
        report.add(wide_grad_logvar);
        report.add(shared.data(), shared.size());
        report.end();
      }
}

template <class T>
void posteriors(const dgf::ReparameterizeKernels& table) {
  using A = Accumulate<T>;
  struct Entry {
    const char* name;
    const dgf::PosteriorKernel* kernels;
    int kind;
  };
  const Entry entries[] = {
      {"forward", table.forward, 0}, {"backward", table.backward, 1}, {"kl_with_gradient", table.kl_with_gradient, 2}};
  for (const Entry& entry : entries)
    for (RowShape s : kRowShapes)
      for (int option = 0; option < 12; ++option) {
        s.chunk = (s.chunk + 63) / 64 * 64;
        const int64_t count = s.rows * s.columns, samples = entry.kind == 2 ? 1 : 1 + option % 3;
        const bool special = option % 2;
        const auto mean = numbers<T>(count, 11, special), scale = numbers<T>(count, 12, special);
        const auto prior_mean = numbers<T>(count / s.repeat, 13, special),
                   prior_logvar = numbers<T>(count / s.repeat, 14);
        const auto noise = numbers<T>(count * samples, 15), grad_z = numbers<T>(count * samples, 16, special);
        const auto grad_kl = numbers<A>(count, 17, special);
        const auto active = flags(s.columns, 18);
        Buffer<T> z(count * samples), grad_mean(count), grad_scale(count);
        Buffer<A> kl(count), grad_prior_mean(count), grad_prior_logvar(count);
        dgf::PosteriorArguments a{};
        a.mean = mean.data;
        a.scale = scale.data;
        const bool prior = option >= 6;
        if (prior) {
          a.prior_mean = {prior_mean.data, s.rows / s.repeat};
          a.prior_logvar = {option % 4 == 2 ? nullptr : prior_logvar.data, s.rows / s.repeat};
        } else {
          a.prior_mean = a.prior_logvar = {nullptr, 1};
        }
        a.noise = option % 4 == 1 ? noise.data : nullptr;
        a.seed = 0x123456789abcdefull * (option + 1);
        a.batch = s.rows;
        a.columns = s.columns;
        a.samples = samples;
        a.scale_kind = option % 3;
        if (entry.kind == 0) {
          a.z = z.data;
          a.kl_values = option % 2 ? kl.data : nullptr;
        } else {
          if (entry.kind == 1) {
            a.grad_z = option % 5 == 4 ? nullptr : grad_z.data;
            a.grad_kl = grad_kl.data;
            a.grad_kl_elementwise = option % 2;
          } else {
            a.grad_kl_scale = 0.625;
            a.grad_kl_active = option % 2 ? active.data : nullptr;
          }
          a.grad_mean = grad_mean.data;
          a.grad_scale = grad_scale.data;
          a.grad_prior_mean = prior ? grad_prior_mean.data : nullptr;
          a.grad_prior_logvar = prior ? grad_prior_logvar.data : nullptr;
        }
        report.begin(named<T>("ReparameterizeKernels", entry.name),
                     std::to_string(s.columns) + "/" + std::to_string(option));
        over_spans(s, [&](const dgf::Span& span) { entry.kernels[element<T>()](a, span); });
        for (const auto* buffer : {&z, &grad_mean, &grad_scale}) report.add(*buffer);
        for (const auto* buffer : {&kl, &grad_prior_mean, &grad_prior_logvar}) report.add(*buffer);
        report.end();
      }
}

inline void noise(const dgf::ReparameterizeKernels& table) {
  for (const int64_t columns : {1, 3, 4, 17, 64, 2055})
    for (const int64_t begin : {int64_t{0}, (int64_t{1} << 32) - 2}) {
      Buffer<float> drawn(5 * columns);
      report.begin("ReparameterizeKernels.philox_normal", std::to_string(columns) + "/" + std::to_string(begin));
      table.philox_normal(0xfedcba9876543210ull, 3, begin, begin + 5, columns, drawn.data - begin * columns);
      report.add(drawn);
      report.end();
    }
}

inline void rows(const dgf::LikelihoodKernels& bernoulli, const dgf::LikelihoodKernels& gaussian,
                 const dgf::ReparameterizeKernels& table) {
  likelihoods<float>(bernoulli, gaussian), likelihoods<double>(bernoulli, gaussian);
  likelihoods<BFloat16>(bernoulli, gaussian), likelihoods<Half>(bernoulli, gaussian);
  posteriors<float>(table), posteriors<double>(table), posteriors<BFloat16>(table), posteriors<Half>(table);
  noise(table);
}

}  // namespace check
