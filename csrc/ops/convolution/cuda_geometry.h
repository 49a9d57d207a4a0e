// How a convolution and its adjoint fall apart into stride-1 convolutions, one a phase of the large image.
//
// A small image a [N, A, h, w] and a large one b [N, B, H, W] are joined by weights [A, B, k, k]: along an axis, number
// i of the small and number stride * i - padding + tap of the large. Phase p of the large image is its numbers stride *
// t + p; those taps reach it that are first_tap(p), first_tap(p) + stride, ...:
//   large[stride * t + p] = sum over j of small[t + shift(p) - j] * weight[first_tap(p) + stride * j]    (transposed)
//   small[i] = sum over p and j of large[stride * (i + j - shift(p)) + p] * weight[first_tap(p) + stride * j]
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "ops/convolution/cuda_transforms.cuh"

namespace dgf::cuda {

// r taps along rows, s along columns.
template <int r, int s>
struct Block {
  static constexpr int rows = r, columns = s;
  static constexpr int products = kProducts<r> * kProducts<s>;
};

template <int k, int s, int p>
struct Geometry {
  static constexpr int kernel = k, stride = s, padding = p, phases = s * s;

  static constexpr int first_tap(int phase) { return (phase + p) % s; }
  static constexpr int taps(int phase) { return (k - first_tap(phase) + s - 1) / s; }
  static constexpr int shift(int phase) { return (phase + p) / s; }

  // Phase number n is (n / stride, n % stride) along rows and columns. Phases with as many taps make a group; in the
  // geometries at hand, all of them or each alone.
  static constexpr bool uniform = k % s == 0;
  static constexpr int groups = uniform ? 1 : phases;
  static constexpr int group_phases = uniform ? phases : 1;
  template <int n>
  using PhaseBlock = Block<taps(n / s), taps(n % s)>;

  // Of phases or groups before number n: where its products start.
  template <int n>
  static constexpr int first_product() {
    if constexpr (n == 0) {
      return 0;
    } else {
      return first_product<n - 1>() + PhaseBlock<n - 1>::products;
    }
  }
  static constexpr int phase_products = first_product<phases>();  // of all phases
  static constexpr int group_products = first_product<groups>();  // of one phase a group
};

using Kernel4Stride2 = Geometry<4, 2, 1>;
using Kernel3Stride2 = Geometry<3, 2, 1>;
using Kernel5Stride2 = Geometry<5, 2, 2>;
using Kernel3Stride1 = Geometry<3, 1, 1>;

}  // namespace dgf::cuda
