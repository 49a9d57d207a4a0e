// CUDA kernels of Winograd filtering between weights [A, B, k, k] and products [product, A, columns]: U = G w G', and
// back, dw = G' dU G. A thread handles a pack of the B, whose weights lie side by side: kWide of them or one.
#pragma once

#include "ops/convolution/cuda_tiles.cuh"

namespace dgf::cuda {

inline constexpr int kWeightThreads = 128;

// Where the products of a phase lie: at product first_product(phase), or with the other phases of its group at that of
// the group, in columns of their own.
template <class Shape, bool Grouped, int phase>
__device__ __forceinline__ int64_t phase_offset(int64_t product_stride, int64_t columns) {
  if constexpr (Grouped && Shape::uniform) return phase * columns;
  return Shape::template first_product<phase>() * product_stride;
}

struct WeightUnit {
  int64_t row, column;  // of A, of B
  bool active;
};

template <int N>
__device__ __forceinline__ WeightUnit weight_unit(int64_t rows, int64_t columns) {
  const int64_t packs = columns / N, unit = static_cast<int64_t>(blockIdx.x) * kWeightThreads + threadIdx.x;
  const int64_t row = unit / packs;
  return {row, (unit - row * packs) * N, row < rows};
}

// Number `tap` of each channel of a run of [N][taps], which is read and written as [taps][N].
template <int tap, int taps, int N>
__device__ __forceinline__ void of_run(const float (&run)[taps][N], float (&values)[N]) {
  unrolled<N>([&](auto c) {
    constexpr int at = c() * taps + tap;
    values[c()] = run[at / N][at % N];
  });
}
template <int tap, int taps, int N>
__device__ __forceinline__ void into_run(float (&run)[taps][N], const float (&values)[N]) {
  unrolled<N>([&](auto c) {
    constexpr int at = c() * taps + tap;
    run[at / N][at % N] = values[c()];
  });
}

// The tap of which transformed weight number i of `taps` is made: in their order for a convolution, backwards for a
// transposed one.
template <class Shape, bool Transposing>
constexpr int tap_of(int phase, int i) {
  return Shape::first_tap(phase) + Shape::stride * (Transposing ? Shape::taps(phase) - 1 - i : i);
}

// weights [rows, columns, k, k] -> products. Transposing: a transposed convolution's, [phase_products, rows, columns];
// else a convolution's, [group_products, rows, group_phases * columns].
template <int N, class Shape, bool Transposing>
__global__ void __launch_bounds__(kWeightThreads)
    weights_kernel(const float* weights, int64_t rows, int64_t columns, float* products, int64_t product_stride,
                   int64_t row_stride) {
  constexpr int k = Shape::kernel, s = Shape::stride;
  const WeightUnit unit = weight_unit<N>(rows, columns);
  if (!unit.active) return;
  float run[k * k][N];
  const float* in = weights + (unit.row * columns + unit.column) * k * k;
#pragma unroll
  for (int i = 0; i < k * k; ++i) load_pack(in + i * N, run[i]);
  unrolled<Shape::phases>([&](auto phase) {
    constexpr int a = phase() / s, b = phase() % s;
    using Rows = ToWeight<Shape::taps(a)>;
    using Columns = ToWeight<Shape::taps(b)>;
    float taps[kColumns<Rows>][kColumns<Columns>][N];
    unrolled<kColumns<Rows>>([&](auto i) {
      unrolled<kColumns<Columns>>([&](auto j) {
        constexpr int tap = tap_of<Shape, Transposing>(a, i()) * k + tap_of<Shape, Transposing>(b, j());
        of_run<tap>(run, taps[i()][j()]);
      });
    });
    float* out = products + phase_offset<Shape, !Transposing, phase()>(product_stride, columns) +
                 unit.row * row_stride + unit.column;
    expand<Rows, Columns>(taps, [&](const float (&result)[N]) {
      store_pack(out, result);
      out += product_stride;
    });
  });
}

// The adjoint for a convolution: products [group_products, rows, group_phases * columns] -> weights [rows, columns, k,
// k], plus what `before` holds, if it is not null.
template <int N, class Shape>
__global__ void __launch_bounds__(kWeightThreads)
    weight_gradient_kernel(const float* products, int64_t rows, int64_t columns, int64_t product_stride,
                           int64_t row_stride, const float* before, float* weights) {
  constexpr int k = Shape::kernel, s = Shape::stride;
  const WeightUnit unit = weight_unit<N>(rows, columns);
  if (!unit.active) return;
  float run[k * k][N];
  unrolled<Shape::phases>([&](auto phase) {
    constexpr int a = phase() / s, b = phase() % s;
    using Rows = FromWeight<Shape::taps(a)>;
    using Columns = FromWeight<Shape::taps(b)>;
    const float* in =
        products + phase_offset<Shape, true, phase()>(product_stride, columns) + unit.row * row_stride + unit.column;
    float taps[kRows<Rows>][kRows<Columns>][N];
    zero(taps);
    contract<Rows, Columns>(
        [&](int i, float (&line)[kColumns<Columns>][N]) {
#pragma unroll
          for (int j = 0; j < kColumns<Columns>; ++j)
            load_pack(in + (i * kColumns<Columns> + j) * product_stride, line[j]);
        },
        taps);
    unrolled<kRows<Rows>>([&](auto i) {
      unrolled<kRows<Columns>>([&](auto j) {
        constexpr int tap = tap_of<Shape, false>(a, i()) * k + tap_of<Shape, false>(b, j());
        into_run<tap>(run, taps[i()][j()]);
      });
    });
  });
  const int64_t start = (unit.row * columns + unit.column) * k * k;
#pragma unroll
  for (int i = 0; i < k * k; ++i) {
    const int64_t at = start + i * N;
    if (before) {
      float sum[N];
      load_pack(before + at, sum);
#pragma unroll
      for (int c = 0; c < N; ++c) run[i][c] += sum[c];
    }
    store_pack(weights + at, run[i]);
  }
}

}  // namespace dgf::cuda
