// Minibatch discrimination (Salimans et al. 2016, section 3.2): o_i = sum over j of exp(-||M_i - M_j||_1).
#pragma once

#include "math/scalar_math.h"

namespace dgf {

// magnitude with its sign turned where `by` is negative.
DGF_HOST_DEVICE float turn_sign(float magnitude, float by) { return by < 0.0f ? -magnitude : magnitude; }
DGF_HOST_DEVICE double turn_sign(double magnitude, double by) { return by < 0.0 ? -magnitude : magnitude; }

// What one dimension adds to the distance of two examples.
template <class V>
DGF_HOST_DEVICE V distance_term(V one, V other) {
  return absolute(one - other);
}

template <class V>
DGF_HOST_DEVICE V similarity(V distance) {
  return exp(-distance);
}

// -d similarity / d one, times a weight that holds the similarity; the other example's is its negative. Where both are
// equal the kink's slope is 0, as abs has it in torch. (A NaN is in the weight already.)
template <class V>
DGF_HOST_DEVICE V similarity_slope(V weight, V one, V other) {
  const V difference = one - other;
  return select(difference == V(0), V(0), turn_sign(weight, difference));
}

}  // namespace dgf
