// One kernel for everything that runs along rows: an operator supplies a body that handles a run of columns.
//
// A row of D columns is cut into packs of kPack columns. A team of 1 to 256 lanes handles a row, or a segment of a
// long one; short rows share a block. The shape of a team, and with it the order in which a row is summed, depends on
// D and the type alone: not on the other rows, the alignment, the grid or the GPU. So the result of an example never
// depends on its batch. Sums of a row's segments are summed by the same kernel, as rows of their own.
//
// Where there are rows enough, one warp does in turn what the warps of a team would do side by side: the same sums in
// the same order, without barriers, and what is the same along a row is found once and not in every warp.
#pragma once

#include <algorithm>

#include "cuda/memory.cuh"

namespace dgf::cuda {

inline constexpr int kWarp = 32;
inline constexpr int kSmallBlock = 128;
inline constexpr int kLargestTeam = 256;
inline constexpr int kPacksPerLane = 2;  // of rows that take more than a warp, as long as the team can grow
inline constexpr int kSegmentPacks = 4 * kLargestTeam;
inline constexpr int kWarpsToFold = 16;  // a multiprocessor: so many rows, and each gets one warp

// How rows are laid over teams of lanes.
struct RowPlan {
  int64_t rows, columns;
  int64_t segments;      // a row, 1 when a team handles it whole
  int64_t segment_size;  // columns
  int64_t summed_rows;   // rows whose sums are wanted: the first so many
  int lanes;             // of a team: a power of two
  bool folded;           // one warp stands for a team
  int threads;           // of a block

  template <class T>
  static RowPlan make(int64_t rows, int64_t columns, int64_t summed_rows, bool may_fold, int multiprocessors) {
    const int64_t packs = (columns + kPack<T> - 1) / kPack<T>;
    const int64_t wanted =
        packs <= kWarp ? packs : std::max<int64_t>(kWarp, (packs + kPacksPerLane - 1) / kPacksPerLane);
    int lanes = 1;
    while (lanes < wanted && lanes < kLargestTeam) lanes *= 2;
    const int64_t segments = std::max<int64_t>(1, (packs + kSegmentPacks - 1) / kSegmentPacks);
    const bool folded =
        may_fold && lanes > kWarp && rows * segments >= static_cast<int64_t>(kWarpsToFold) * multiprocessors;
    const int threads = folded ? kSmallBlock : std::max(lanes, kSmallBlock);
    return {rows, columns, segments, kSegmentPacks * kPack<T>, summed_rows, lanes, folded, threads};
  }

  // Enough blocks for several waves, so that the hardware balances the load; past that a block takes several units.
  int64_t blocks(int multiprocessors) const {
    const int64_t teams = threads / (folded ? kWarp : lanes);
    const int64_t waves = 8, resident = 2048 / threads;
    return std::min((rows * segments + teams - 1) / teams, waves * resident * multiprocessors);
  }
};

// Sums over the first `lanes` lanes of a warp, a power of two.
template <class C, int K>
__device__ __forceinline__ void sum_lanes(C (&sums)[K], int lanes) {
#pragma unroll
  for (int k = 0; k < K; ++k)
    for (int offset = lanes / 2; offset > 0; offset /= 2) sums[k] += __shfl_xor_sync(0xffffffffu, sums[k], offset);
}

// Sums over the lanes of each team; the team's first lane gets the result. Every thread of the block takes part. (Not
// by sum_lanes: a dozen kernels would take more registers.)
template <class C, int K>
__device__ __forceinline__ void sum_team(C (&sums)[K], int lanes) {
#pragma unroll
  for (int k = 0; k < K; ++k)
    for (int offset = min(lanes, kWarp) / 2; offset > 0; offset /= 2)
      sums[k] += __shfl_xor_sync(0xffffffffu, sums[k], offset);
  if (lanes <= kWarp) return;

  __shared__ C warp_sums[K][kLargestTeam / kWarp];
  const int warps = lanes / kWarp, warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  __syncthreads();  // until the sums of the last call have been read
  if (lane == 0)
#pragma unroll
    for (int k = 0; k < K; ++k) warp_sums[k][warp] = sums[k];
  __syncthreads();
  if (warp % warps != 0) return;
#pragma unroll
  for (int k = 0; k < K; ++k) {
    C sum = lane < warps ? warp_sums[k][warp + lane] : C(0);
    for (int offset = warps / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
    sums[k] = sum;
  }
}

// Resident blocks of the folded kernel, of kSmallBlock threads: what spills no registers.
template <class Body>
inline constexpr int kFoldedBlocks = Body::kResidentBlocks > 1 ? 2 * Body::kResidentBlocks - 1 - Body::kSums : 1;

// Body: using Element; static constexpr int kSums;
//       static constexpr int kResidentBlocks               on a multiprocessor, of kLargestTeam threads: caps the
//                                                          registers, at 64, 80, 128, 255 for 4 to 1 blocks
//       auto row(int64_t row) const                        what is the same along a row: pointers, row scalars
//       void columns<Vectorized>(row, column, valid, sums) handles kPack columns from `column`, adds to sums[kSums]
// sums: [kSums][summed_rows][segments], or null when none are wanted.
template <bool Vectorized, class Body, bool Folded = false>
__global__ void __launch_bounds__(Folded ? kSmallBlock : kLargestTeam,
                                  Folded ? kFoldedBlocks<Body> : Body::kResidentBlocks)
    rows_kernel(Body body, RowPlan plan, Compute<typename Body::Element>* sums) {
  using C = Compute<typename Body::Element>;
  constexpr int N = kPack<typename Body::Element>;
  const int width = Folded ? kWarp : plan.lanes;
  const int lane = threadIdx.x & (width - 1);
  const int teams = plan.threads / width, team = threadIdx.x / width;
  const int64_t units = plan.rows * plan.segments;
  // The bounds are the same for the whole block, so that all of it meets in sum_team.
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * teams; first < units;
       first += static_cast<int64_t>(gridDim.x) * teams) {
    const int64_t unit = first + team;
    C partial[Body::kSums] = {};
    if (unit < units) {
      const int64_t row = plan.segments == 1 ? unit : unit / plan.segments;
      const int64_t segment = plan.segments == 1 ? 0 : unit % plan.segments;
      const int64_t begin = segment * plan.segment_size;
      const int64_t end = min(begin + plan.segment_size, plan.columns);
      const auto state = body.row(row);
      const auto walk = [&](int64_t from, C(&found)[Body::kSums]) {
        for (int64_t column = from; column < end; column += plan.lanes * N) {
          const int valid = Vectorized ? N : static_cast<int>(min(static_cast<int64_t>(N), end - column));
          body.template columns<Vectorized>(state, column, valid, found);
        }
      };
      if constexpr (Folded) {
        const int warps = plan.lanes / kWarp;
        for (int warp = 0; warp < warps; ++warp) {
          C found[Body::kSums] = {};
          walk(begin + static_cast<int64_t>(warp * kWarp + lane) * N, found);
          if (sums == nullptr) continue;
          sum_lanes(found, kWarp);
          if (lane == warp)
#pragma unroll
            for (int k = 0; k < Body::kSums; ++k) partial[k] = found[k];
        }
        if (sums != nullptr) sum_lanes(partial, warps);  // as sum_team joins warps
      } else {
        walk(begin + static_cast<int64_t>(lane) * N, partial);
      }
    }
    if (sums == nullptr) continue;
    if constexpr (!Folded) sum_team(partial, plan.lanes);
    const int64_t summed = plan.summed_rows * plan.segments;
    if (lane == 0 && unit < summed)
#pragma unroll
      for (int k = 0; k < Body::kSums; ++k) sums[k * summed + unit] = partial[k];
  }
}

// The body that sums rows of numbers: the second stage of every sum over a long row.
template <class C>
struct SumBody {
  using Element = C;
  static constexpr int kSums = 1, kResidentBlocks = 4;
  const C* values;  // [rows, columns]
  int64_t row_length;

  struct Row {
    const C* values;
  };
  __device__ Row row(int64_t row) const { return {values + row * row_length}; }

  template <bool Vectorized>
  __device__ void columns(const Row& row, int64_t column, int valid, C (&sums)[1]) const {
    C pack[kPack<C>];
    load<Vectorized>(row.values + column, valid, pack);
#pragma unroll
    for (int i = 0; i < kPack<C>; ++i) sums[0] += pack[i];
  }
};

// Whether every operand of a row kernel may be read and written by full-width accesses.
template <class T>
class Alignment {
 public:
  explicit Alignment(int64_t columns) : aligned_(columns % kPack<T> == 0) {}

  template <class U>
  Alignment& with(const U* data) {
    aligned_ &= reinterpret_cast<uintptr_t>(data) % kAccessBytes<U, kPack<T>> == 0;
    return *this;
  }
  Alignment& with(const Operand& operand) {
    if (operand.kind == Kind::kSame) return with(static_cast<const T*>(operand.data));
    if (operand.kind == Kind::kFloat) return with(static_cast<const float*>(operand.data));
    return with(static_cast<const uint8_t*>(operand.data));
  }
  explicit operator bool() const { return aligned_; }

 private:
  bool aligned_;
};

// Runs a body over all rows. sums: [kSums, summed_rows] or null. Launcher: cuda/launch.h.
template <class Launcher, class Body>
void run_rows(const Launcher& launcher, const Body& body, int64_t rows, int64_t columns, bool vectorized,
              Compute<typename Body::Element>* sums, int64_t summed_rows) {
  using T = typename Body::Element;
  using C = Compute<T>;
  if (rows == 0) return;
  const RowPlan plan = RowPlan::make<T>(rows, columns, summed_rows, vectorized, launcher.multiprocessors());
  const bool staged = sums != nullptr && plan.segments > 1;
  auto partials = launcher.template scratch<C>(staged ? Body::kSums * summed_rows * plan.segments : 0);
  C* first_stage = staged ? partials.data : sums;
  const int64_t blocks = plan.blocks(launcher.multiprocessors());
  auto* kernel = plan.folded  ? &rows_kernel<true, Body, true>
                 : vectorized ? &rows_kernel<true, Body>
                              : &rows_kernel<false, Body>;
  launcher.launch(kernel, blocks, plan.threads, body, plan, first_stage);
  if (staged) {
    const int64_t sum_rows = Body::kSums * summed_rows;
    const bool aligned(Alignment<C>(plan.segments).with(partials.data));
    run_rows(launcher, SumBody<C>{partials.data, plan.segments}, sum_rows, plan.segments, aligned, sums, sum_rows);
  }
}

template <class Launcher, class Body>
void run_rows(const Launcher& launcher, const Body& body, int64_t rows, int64_t columns, bool vectorized,
              Compute<typename Body::Element>* sums) {
  run_rows(launcher, body, rows, columns, vectorized, sums, rows);
}

}  // namespace dgf::cuda
