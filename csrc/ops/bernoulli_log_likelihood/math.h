// Bernoulli log-likelihood of one pixel from its logit, and its derivatives (chapter equations 13.16, 13.17).
#pragma once

#include "math/weighted.h"

namespace dgf {

// exp(-|logit|), in (0, 1]: the one exponential that value and derivative share.
template <class V>
DGF_HOST_DEVICE V bernoulli_decay(V logit) {
  return exp(-absolute(logit));
}

// target log s(logit) + (1 - target) log(1 - s(logit)) = min(logit, 0) - (1 - target) logit - log(1 + exp(-|logit|)):
// a part without logarithms, and one.
template <class V>
DGF_HOST_DEVICE V bernoulli_linear(V logit, V target) {
  return fma(target - V(1), logit, negative_part(logit));
}
template <class V>
DGF_HOST_DEVICE V bernoulli_value(V logit, V target, V decay) {
  return bernoulli_linear(logit, target) - log1p_unit(decay);
}

// d/d logit = target - sigmoid(logit), from the same decay; d/d target is the logit itself.
template <class V>
DGF_HOST_DEVICE V bernoulli_logit_slope(V logit, V target, V decay) {
  const V inverse = reciprocal_unit(decay + V(1));
  return target - select(logit < V(0), decay * inverse, inverse);
}

}  // namespace dgf
