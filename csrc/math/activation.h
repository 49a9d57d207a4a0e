// The activations that close a convolution or a batch norm, and their derivatives. `activation` is a compile-time
// choice; V is a scalar or a vector of lanes.
#pragma once

#include "math/scalar_math.h"

namespace dgf {

// The numbers are part of the operators' schemas.
enum Activation { kNoActivation = 0, kRelu = 1, kLeakyRelu = 2, kTanh = 3, kSigmoid = 4 };
constexpr int kActivations = 5;

// From exp(-|x|), which never overflows.
template <class V>
DGF_HOST_DEVICE V sigmoid(V x) {
  const V decay = exp(-absolute(x));
  return select(x < V(0), decay, V(1)) / (decay + V(1));
}

template <int activation, class V>
DGF_HOST_DEVICE V activate(V x, V negative_slope) {
  if constexpr (activation == kRelu) return positive_part(x);
  if constexpr (activation == kLeakyRelu) return select(V(0) < x, x, x * negative_slope);
  if constexpr (activation == kTanh) return tanh(x);
  if constexpr (activation == kSigmoid) return sigmoid(x);
  return x;
}

// grad * derivative, from the activation's argument x (its value need not be stored). Where relu is flat the gradient
// is 0 whatever grad is, as in eager; a NaN argument lets grad pass through relu, as in eager.
template <int activation, class V>
DGF_HOST_DEVICE V activation_gradient(V grad, V x, V negative_slope) {
  if constexpr (activation == kRelu) return select(positive_part(x) == V(0), V(0), grad);
  if constexpr (activation == kLeakyRelu) return select(V(0) < x, grad, grad * negative_slope);
  if constexpr (activation == kTanh || activation == kSigmoid) {
    // With s = sigmoid(-|x|), at most a half: sigmoid'(x) = s - s^2, and tanh'(x) = 4 sigmoid'(2 x). Nothing cancels,
    // as in 1 - tanh^2, and of the exponential's and the division's errors little is left where s is large.
    constexpr bool is_tanh = activation == kTanh;
    const V decay = exp(absolute(x) * V(is_tanh ? -2.0f : -1.0f));
    const V s = decay / (decay + V(1));
    return grad * (fma(-s, s, s) * V(is_tanh ? 4.0f : 1.0f));
  }
  return grad;
}

}  // namespace dgf
