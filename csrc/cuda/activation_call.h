// From an operator's arguments to what closes its output (cuda/activation.cuh).
#pragma once

#include "cuda/activation.cuh"
#include "cuda/launch.h"

namespace dgf::cuda {

inline void check_activation(int64_t activation) {
  STD_TORCH_CHECK(activation >= 0 && activation < kActivations, "deepgen_fast (cuda): activation must be 0 (none), ",
                  "1 (relu), 2 (leaky relu), 3 (tanh) or 4 (sigmoid), got ", activation);
}

template <class C>
Epilogue<C> epilogue(const Launcher& launcher, int64_t channels, const OptionalTensor& scale,
                     const OptionalTensor& shift, int64_t activation, double negative_slope) {
  check_activation(activation);
  return {launcher.input<C>(scale, channels, "scale"), launcher.input<C>(shift, channels, "shift"),
          static_cast<int>(activation), static_cast<C>(negative_slope)};
}

}  // namespace dgf::cuda
