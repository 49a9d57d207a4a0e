// Sums over the rows of a matrix, one a column: in chunks of rows, whose sums are summed again, always in order.
#pragma once

#include "cuda/memory.cuh"

namespace dgf::cuda {

inline constexpr int kColumnTile = 32;  // columns of a block: a warp reads them side by side
inline constexpr int kRowLanes = 8;     // rows that a block reads at a time
inline constexpr int kRowsPerChunk = 256;

// values [rows, columns] -> sums [chunks, columns]; one block a tile of columns and chunk of rows.
template <class In, class Out>
__global__ void __launch_bounds__(kColumnTile* kRowLanes)
    columns_kernel(const In* values, int64_t rows, int64_t columns, int64_t tiles, Out* sums) {
  using C = Compute<In>;
  __shared__ C lane_sums[kRowLanes][kColumnTile];
  const int tile_column = threadIdx.x % kColumnTile, lane = threadIdx.x / kColumnTile;
  const int64_t column = blockIdx.x % tiles * kColumnTile + tile_column;
  const int64_t chunk = blockIdx.x / tiles;
  const int64_t end = min((chunk + 1) * kRowsPerChunk, rows);
  C sum = C(0);
  if (column < columns)
    for (int64_t row = chunk * kRowsPerChunk + lane; row < end; row += kRowLanes)
      sum += static_cast<C>(values[row * columns + column]);
  lane_sums[lane][tile_column] = sum;
  __syncthreads();
  if (lane == 0 && column < columns) {
#pragma unroll
    for (int other = 1; other < kRowLanes; ++other) sum += lane_sums[other][tile_column];
    sums[chunk * columns + column] = static_cast<Out>(sum);
  }
}

// sums [columns] = values [rows, columns] summed over rows; accumulated in float32, or float64 for float64 values.
template <class Launcher, class In, class Out>
void sum_columns(const Launcher& launcher, const In* values, int64_t rows, int64_t columns, Out* sums) {
  using C = Compute<In>;
  if (columns == 0) return;
  const int64_t chunks = rows > kRowsPerChunk ? (rows + kRowsPerChunk - 1) / kRowsPerChunk : 1;
  const int64_t tiles = (columns + kColumnTile - 1) / kColumnTile;
  constexpr int kThreads = kColumnTile * kRowLanes;
  if (chunks == 1) {
    launcher.launch(&columns_kernel<In, Out>, tiles, kThreads, values, rows, columns, tiles, sums);
    return;
  }
  const auto partials = launcher.template scratch<C>(chunks * columns);
  launcher.launch(&columns_kernel<In, C>, tiles * chunks, kThreads, values, rows, columns, tiles, partials.data);
  sum_columns(launcher, static_cast<const C*>(partials.data), chunks, columns, sums);
}

}  // namespace dgf::cuda
