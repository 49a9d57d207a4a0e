// CUDA kernels of Winograd filtering between images and products: windows to products, products to outputs, tiles to
// products. Images are [N, height, width, channels], products [product, tile, channels]; a thread handles
// a pack of channels of one tile: kWide of them, which 128-bit accesses carry, where alignment allows, else one.
#pragma once

#include "cuda/activation.cuh"
#include "ops/batch_norm_act/channels.cuh"
#include "ops/convolution/cuda_geometry.h"

namespace dgf::cuda {

inline constexpr int kTileThreads = 128;
inline constexpr int kResidentWindows = 3;  // blocks of windows_kernel: up to 144 numbers of a window are registers
inline constexpr int kWide = kPack<float>;

// Tiles `first` to `first + count` of a batch whose images have rows x columns tiles.
struct TileRange {
  int64_t first, count, rows, columns;
};

struct TilePosition {
  int64_t image;
  int64_t row, column;  // of its first number
};

__device__ __forceinline__ TilePosition position(const TileRange& range, int64_t tile) {
  tile += range.first;
  int64_t line, image, column;
  if (tile >> 32 == 0) {  // several times cheaper
    line = static_cast<uint32_t>(tile) / static_cast<uint32_t>(range.columns);
    image = static_cast<uint32_t>(line) / static_cast<uint32_t>(range.rows);
  } else {
    line = tile / range.columns;
    image = line / range.rows;
  }
  column = tile - line * range.columns;
  return {image, (line - image * range.rows) * kOutputs, column * kOutputs};
}

// N neighboring channels.
template <int N>
__device__ __forceinline__ void load_pack(const float* source, float (&values)[N]) {
  load<N == kWide>(source, N, values);
}
template <int N, class T>
__device__ __forceinline__ void store_pack(T* destination, const T (&values)[N]) {
  store<N == kWide>(destination, N, values);
}

template <int R, int S, int N>
__device__ __forceinline__ void zero(float (&numbers)[R][S][N]) {
#pragma unroll
  for (int i = 0; i < R; ++i)
#pragma unroll
    for (int j = 0; j < S; ++j)
#pragma unroll
      for (int c = 0; c < N; ++c) numbers[i][j][c] = 0.0f;
}

// Which phase, tile and channels a thread handles. `lanes` packs of channels lie side by side in a block, a power of
// two.
struct TilePlan {
  TileRange tiles;
  int64_t channels, blocks_wide, blocks_deep;  // blocks_deep of tiles, for each phase
  int lanes;

  static TilePlan make(const TileRange& tiles, int64_t channels, int pack) {
    const ChannelPlan plan = ChannelPlan::make(tiles.count, channels, pack);
    const int64_t tiles_per_block = plan.rows_per_block(kTileThreads, 1);
    return {tiles, channels, plan.blocks_wide, (tiles.count + tiles_per_block - 1) / tiles_per_block, plan.lanes};
  }
  int64_t blocks(int phases) const { return phases * blocks_deep * blocks_wide; }
};

struct TileUnit {
  int64_t tile, channel, part;  // part: number of the block, over phases and tiles
  int phase;
  bool active;
};

template <int N>
__device__ __forceinline__ TileUnit tile_unit(const TilePlan& plan) {
  const int lane = threadIdx.x & (plan.lanes - 1), tile_lane = threadIdx.x / plan.lanes;
  const int64_t part = blockIdx.x / plan.blocks_wide, phase = part / plan.blocks_deep;
  const int64_t channel = (blockIdx.x % plan.blocks_wide * plan.lanes + lane) * N;
  const int64_t tile = (part - phase * plan.blocks_deep) * (kTileThreads / plan.lanes) + tile_lane;
  const bool active = tile < plan.tiles.count && channel < plan.channels;
  return {tile, channel, part, static_cast<int>(phase), active};
}

// A grid of numbers of an image: number (i, j) of tile (row, column) is image[step * (row + i) + origin], and so along
// columns. Outside of the image there are zeros to read, and nothing is written.
struct PhaseView {
  int64_t row, column;  // origins
  int64_t products;     // where this phase's products start
};

struct ImageView {
  int64_t height, width, channels;
  int64_t step;
  PhaseView phases[4];

  // Not by index: a parameter that is indexed at run time is copied to local memory.
  __device__ __forceinline__ PhaseView phase(int number) const {
    PhaseView chosen = phases[0];
#pragma unroll
    for (int i = 1; i < 4; ++i)
      if (number == i) chosen = phases[i];
    return chosen;
  }
  __device__ __forceinline__ int64_t offset(const TilePosition& at, int64_t row, int64_t column) const {
    return ((at.image * height + row) * width + column) * channels;
  }
};

// Number (i, j) of a tile, for one phase.
struct Grid {
  int64_t first_row, first_column, step;

  __device__ __forceinline__ Grid(const ImageView& view, const PhaseView& phase, const TilePosition& at)
      : first_row(view.step * at.row + phase.row),
        first_column(view.step * at.column + phase.column),
        step(view.step) {}
  __device__ __forceinline__ int64_t row(int i) const { return first_row + step * i; }
  __device__ __forceinline__ int64_t column(int j) const { return first_column + step * j; }

  // How many of a tile's numbers lie below the end of an image, along an axis where the first is not negative.
  __device__ __forceinline__ int below(int64_t first, int64_t size) const {
    int count = 0;
#pragma unroll
    for (int i = 0; i < kOutputs; ++i) count += first + step * i < size;
    return count;
  }
};

__device__ __forceinline__ bool inside(int64_t index, int64_t size) { return index >= 0 && index < size; }

// Reads R x S numbers of a tile or its window.
template <int R, int S, int N>
__device__ __forceinline__ void read_numbers(const float* image, const ImageView& view, const PhaseView& phase,
                                             const TilePosition& at, int64_t channel, float (&numbers)[R][S][N]) {
  const Grid grid(view, phase, at);
#pragma unroll
  for (int i = 0; i < R; ++i) {
    const int64_t row = grid.row(i);
#pragma unroll
    for (int j = 0; j < S; ++j) {
      const int64_t column = grid.column(j);
      if (inside(row, view.height) && inside(column, view.width)) {
        load_pack(image + view.offset(at, row, column) + channel, numbers[i][j]);
      } else {
#pragma unroll
        for (int c = 0; c < N; ++c) numbers[i][j][c] = 0.0f;
      }
    }
  }
}

// V = B' x B, of the window of each tile: products[phase.products + (i, j) * product_stride + tile * tile_stride].
template <int N, class Block>
__global__ void __launch_bounds__(kTileThreads, kResidentWindows)
    windows_kernel(const float* image, ImageView view, TilePlan plan, float* products, int64_t product_stride,
                   int64_t tile_stride) {
  using Rows = ToInput<Block::rows>;
  using Columns = ToInput<Block::columns>;
  const TileUnit unit = tile_unit<N>(plan);
  if (!unit.active) return;
  float window[kColumns<Rows>][kColumns<Columns>][N];
  const PhaseView phase = view.phase(unit.phase);
  read_numbers(image, view, phase, position(plan.tiles, unit.tile), unit.channel, window);
  float* out = products + phase.products + unit.tile * tile_stride + unit.channel;
  expand<Rows, Columns>(window, [&](const float (&result)[N]) {
    store_pack(out, result);
    out += product_stride;
  });
}

// Z = A x A' of each tile, for each group of a geometry's phases. Groups with as many taps along rows share the lines
// A x, which are not kept.
template <int N, class Shape>
__global__ void __launch_bounds__(kTileThreads)
    tiles_kernel(const float* image, ImageView view, TilePlan plan, float* products, int64_t product_stride) {
  const TileUnit unit = tile_unit<N>(plan);
  if (!unit.active) return;
  float* out = products + unit.tile * plan.channels + unit.channel;
  constexpr int groups = Shape::uniform ? 1 : Shape::stride;  // along an axis
  unrolled<groups>([&](auto a) {
    using Rows = ToOutput<Shape::taps(a())>;
    // Read anew for each a: the lines that different a have in common would be kept, in as many registers again.
    float tile[kOutputs][kOutputs][N];
    read_numbers(image, view, view.phases[0], position(plan.tiles, unit.tile), unit.channel, tile);
    unrolled<kRows<Rows>>([&](auto i) {
      float line[kOutputs][N];
      expand_rows<Rows, i()>(tile, line);
      unrolled<groups>([&](auto b) {
        using Columns = ToOutput<Shape::taps(b())>;
        constexpr int first = Shape::template first_product<a() * groups + b()>() + i() * kRows<Columns>;
        float* to = out + first * product_stride;
        expand_columns<Columns>(line, [&](const float (&result)[N]) {
          store_pack(to, result);
          to += product_stride;
        });
      });
    });
  });
}

// y = A' M A, summed over the blocks, then scale, shift and activation, into the image; with `parts` the moments of
// what was written: [block of tiles, over all phases][3][channels].
template <int N, class... Blocks>
__global__ void __launch_bounds__(kTileThreads)
    outputs_kernel(const float* products, int64_t product_stride, ImageView view, TilePlan plan,
                   Epilogue<float> epilogue, float* image, double* parts) {
  const TileUnit unit = tile_unit<N>(plan);
  PivotSums<float, N> sums;
  if (unit.active) {
    const PhaseView phase = view.phase(unit.phase);
    float outputs[kOutputs][kOutputs][N];
    zero(outputs);
    const float* in = products + phase.products + unit.tile * plan.channels + unit.channel;
    const auto transform = [&](auto block) {
      using B = decltype(block);
      using Columns = FromOutput<B::columns>;
      contract<FromOutput<B::rows>, Columns>(
          [&](int i, float (&line)[kColumns<Columns>][N]) {
#pragma unroll
            for (int j = 0; j < kColumns<Columns>; ++j)
              load_pack(in + (i * kColumns<Columns> + j) * product_stride, line[j]);
          },
          outputs);
      in += B::products * product_stride;
    };
    (transform(Blocks{}), ...);

    const TilePosition at = position(plan.tiles, unit.tile);
    const Grid grid(view, phase, at);
    const int rows = grid.below(grid.first_row, view.height), columns = grid.below(grid.first_column, view.width);
    const int64_t across = view.step * view.channels, down = across * view.width;
    float* line = image + view.offset(at, grid.first_row, grid.first_column) + unit.channel;
    Epilogue<float>::Channels<N> coefficients;
    epilogue.template read<N == kWide>(unit.channel, N, coefficients);
#pragma unroll
    for (int i = 0; i < kOutputs; ++i, line += down) {
      float* to = line;
#pragma unroll
      for (int j = 0; j < kOutputs; ++j, to += across) {
        if (i >= rows || j >= columns) continue;
        epilogue.apply(coefficients, outputs[i][j]);
        store_pack(to, outputs[i][j]);
        if (parts) sums.add(outputs[i][j]);
      }
    }
  }
  if (parts == nullptr) return;
  double moments[MergeMoments::kParts][N];
  merge_block<MergeMoments, kTileThreads>([&](int i, auto& own) { sums.parts(i, own); }, plan.lanes, moments);
  if (static_cast<int>(threadIdx.x) < plan.lanes && unit.channel < plan.channels)
#pragma unroll
    for (int k = 0; k < MergeMoments::kParts; ++k)
      store_pack(parts + (unit.part * MergeMoments::kParts + k) * plan.channels + unit.channel, moments[k]);
}

}  // namespace dgf::cuda
