// The posterior's side of the launchers: what reparameterize_kl and negative_elbo check and pass alike.
#pragma once

#include "cpu/launch.h"
#include "ops/reparameterize_kl/arguments.h"

namespace dgf {

struct PosteriorInputs {
  Tensor mean, scale;
  std::optional<Tensor> prior_mean, prior_logvar;
  Rows view;  // [batch, columns]
  PosteriorArguments arguments{};

  PosteriorInputs(const Tensor& mean_, const Tensor& scale_, const std::optional<Tensor>& prior_mean_,
                  const std::optional<Tensor>& prior_logvar_, int64_t scale_kind)
      : mean(dense(mean_)),
        scale(dense(scale_)),
        prior_mean(dense(prior_mean_)),
        prior_logvar(dense(prior_logvar_)),
        view(mean, 1) {
    STD_TORCH_CHECK(mean.scalar_type() == scale.scalar_type(), "deepgen_fast: mean and scale must have one dtype");
    STD_TORCH_CHECK(scale_kind >= 0 && scale_kind <= 2, "deepgen_fast: scale_kind must be 0, 1 or 2");
    check_numel(scale, mean.numel(), "scale");
    arguments.mean = mean.const_data_ptr();
    arguments.scale = scale.const_data_ptr();
    arguments.prior_mean = row_operand(prior_mean, mean, view, "prior_mean");
    arguments.prior_logvar = row_operand(prior_logvar, mean, view, "prior_logvar");
    arguments.batch = view.rows;
    arguments.columns = view.columns;
    arguments.samples = 1;
    arguments.scale_kind = static_cast<int>(scale_kind);
  }

  PosteriorKernel choose(const PosteriorKernel* by_element) const {
    return by_element[static_cast<int>(element_of(mean, "mean"))];
  }
};

// An element of the posterior costs about this many pixels (an exponential or two, and noise where it is drawn).
constexpr int64_t kPosteriorWeight = 2;

}  // namespace dgf
