// How an incoming gradient meets a slope. V is a scalar or a vector of lanes.
#pragma once

#include "math/scalar_math.h"

namespace dgf {

// grad * slope, and sum + that: a zero incoming gradient gives nothing, whatever the slope.
template <class V>
DGF_HOST_DEVICE V weighted(V grad, V slope) {
  return select(grad == V(0), V(0), grad * slope);
}
template <class V>
DGF_HOST_DEVICE V add_weighted(V sum, V grad, V slope) {
  return select(grad == V(0), sum, fma(grad, slope, sum));
}

}  // namespace dgf
