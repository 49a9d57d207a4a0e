// One kernel for everything that runs over a matrix [rows, channels] with something in each channel: coefficients that
// a thread reads once, sums over the rows that blocks reduce. An operator supplies a body that handles a run of
// channels of one row.
//
// A block is `lanes` packs of channels wide and as many rows deep as its threads allow; each thread takes
// kRowsPerThread rows. The plan depends on the shape and the type alone, and parts of sums are combined in a fixed
// order: within a warp, over the warps of a block, then by the same kernel over blocks. So no bit depends on the GPU.
#pragma once

#include "cuda/memory.cuh"
#include "ops/batch_norm_act/math.h"

namespace dgf::cuda {

inline constexpr int kWarpLanes = 32;
inline constexpr int kChannelThreads = 256;
inline constexpr int kRowsPerThread = 16;

// `lanes` packs side by side, a power of two of at most a warp; further packs are further blocks.
struct ChannelPlan {
  int64_t rows, channels;
  int64_t blocks_wide;
  int lanes;

  static ChannelPlan make(int64_t rows, int64_t channels, int pack) {
    const int64_t packs = (channels + pack - 1) / pack;
    int lanes = 1;
    while (lanes < packs && lanes < kWarpLanes) lanes *= 2;
    return {rows, channels, (packs + lanes - 1) / lanes, lanes};
  }
  int64_t rows_per_block(int threads, int rows_per_thread) const {
    return static_cast<int64_t>(threads / lanes) * rows_per_thread;
  }
};

// How parts of sums become one. kParts numbers a channel, zero for none.
template <int K>
struct AddParts {
  static constexpr int kParts = K;
  static __device__ __forceinline__ void merge(double (&into)[K], const double (&other)[K]) {
#pragma unroll
    for (int k = 0; k < K; ++k) into[k] += other[k];
  }
};

// Parts are mean, sum of squared deviations, count.
struct MergeMoments {
  static constexpr int kParts = 3;
  static __device__ __forceinline__ void merge(double (&into)[3], const double (&other)[3]) {
    const Moments both = combine(Moments{into[2], into[0], into[1]}, Moments{other[2], other[0], other[1]});
    // An infinite mean stays infinite, as in eager.
    into[0] = both.mean == both.mean ? both.mean : into[0] + other[0];
    into[1] = both.deviations, into[2] = both.count;
  }
};

// values[i] of what lies in registers: an index that is known at run time only would move the array to local memory.
template <class C, int N>
__device__ __forceinline__ C element(const C (&values)[N], int i) {
  C chosen = values[0];
#pragma unroll
  for (int n = 1; n < N; ++n) chosen = i == n ? values[n] : chosen;
  return chosen;
}

// Combines the parts of a block's threads that share N channels: parts_of(i, sum) are a thread's own of channel i. The
// first `lanes` threads get the results. Every thread of the block takes part.
template <class Merge, int Threads, int N, class PartsOf>
__device__ __forceinline__ void merge_block(const PartsOf& parts_of, int lanes, double (&results)[Merge::kParts][N]) {
  constexpr int kParts = Merge::kParts, kWarps = Threads / kWarpLanes;
  static_assert(N <= kWarps, "a warp for each channel");
  __shared__ double warp_parts[kWarps][kParts][kWarpLanes];
  const int warp = threadIdx.x / kWarpLanes, lane = threadIdx.x % kWarpLanes;
  // Warp i combines channel i, so that no thread holds the parts of more than one: they are doubles, and would spill.
  double merged[kParts] = {};
#pragma unroll 1
  for (int i = 0; i < N; ++i) {
    double sum[kParts], other[kParts];
    parts_of(i, sum);
    for (int offset = kWarpLanes / 2; offset >= lanes; offset /= 2) {
#pragma unroll
      for (int k = 0; k < kParts; ++k) other[k] = __shfl_down_sync(0xffffffffu, sum[k], offset);
      Merge::merge(sum, other);
    }
    __syncthreads();  // until the parts of the last channel have been read
#pragma unroll
    for (int k = 0; k < kParts; ++k) warp_parts[warp][k][lane] = sum[k];
    __syncthreads();
    if (warp != i || lane >= lanes) continue;
#pragma unroll
    for (int k = 0; k < kParts; ++k) merged[k] = warp_parts[0][k][lane];
    for (int from = 1; from < kWarps; ++from) {
#pragma unroll
      for (int k = 0; k < kParts; ++k) other[k] = warp_parts[from][k][lane];
      Merge::merge(merged, other);
    }
  }
  __syncthreads();  // until the parts of the last channel have been read
  if (warp < N)
#pragma unroll
    for (int k = 0; k < kParts; ++k) warp_parts[warp][k][lane] = merged[k];
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kParts; ++k)
#pragma unroll
    for (int i = 0; i < N; ++i) results[k][i] = warp_parts[i][k][lane];
}

// Moments of some numbers of N channels, as sums about the first of them, so that nothing cancels where the mean is
// large; about zero if the first is not finite, so that an infinite mean is found.
template <class C, int N>
struct PivotSums {
  C pivot[N], sum[N], squares[N];
  int count = 0;

  __device__ __forceinline__ void add(const C (&values)[N]) {
    if (count == 0)
#pragma unroll
      for (int i = 0; i < N; ++i) {
        pivot[i] = values[i] - values[i] == C(0) ? values[i] : C(0);
        sum[i] = squares[i] = C(0);
      }
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const C difference = values[i] - pivot[i];
      sum[i] += difference;
      squares[i] = dgf::fma(difference, difference, squares[i]);
    }
    ++count;
  }

  __device__ __forceinline__ void parts(int i, double (&into)[MergeMoments::kParts]) const {
    Moments moments{0.0, 0.0, 0.0};
    if (count) moments = moments_about(count, element(pivot, i), element(sum, i), element(squares, i));
    into[0] = moments.mean, into[1] = moments.deviations, into[2] = moments.count;
  }
};

// Body: using Element; using Merge (void: no sums); static constexpr int kResidentBlocks;
//       auto channels<Vectorized>(channel, valid) const         what is the same down the channels, and running sums
//       void row<Vectorized>(state, row, channel, valid) const  handles kPack channels of a row
//       void parts(state, i, double (&parts)[kParts]) const     if Merge: what a thread's rows of channel i add up to
// parts: [blocks of rows][kept][channels]; the first `kept` of Merge's parts are written.
template <bool Vectorized, class Body>
__global__ void __launch_bounds__(kChannelThreads, Body::kResidentBlocks)
    channels_kernel(Body body, ChannelPlan plan, double* parts, int kept) {
  constexpr int N = kPack<typename Body::Element>;
  const int lane = threadIdx.x & (plan.lanes - 1), row_lane = threadIdx.x / plan.lanes;
  const int64_t own = (blockIdx.x % plan.blocks_wide * plan.lanes + lane) * N;
  const bool active = own < plan.channels;
  const int64_t channel = active ? own : 0;  // so that every thread may read what belongs to its channels
  const int64_t chunk = blockIdx.x / plan.blocks_wide, row_lanes = kChannelThreads / plan.lanes;
  const int64_t first = chunk * row_lanes * kRowsPerThread + row_lane;
  const int64_t end = min((chunk + 1) * row_lanes * kRowsPerThread, plan.rows);
  const int valid = Vectorized ? N : static_cast<int>(min(static_cast<int64_t>(N), plan.channels - channel));
  auto state = body.template channels<Vectorized>(channel, valid);
  if (active)
    for (int64_t row = first; row < end; row += row_lanes) body.template row<Vectorized>(state, row, channel, valid);
  if constexpr (!std::is_void_v<typename Body::Merge>) {
    using Merge = typename Body::Merge;
    double sums[Merge::kParts][N];
    merge_block<Merge, kChannelThreads>([&](int i, auto& own) { body.parts(state, i, own); }, plan.lanes, sums);
    if (row_lane == 0 && active)
#pragma unroll
      for (int k = 0; k < Merge::kParts; ++k)
        if (k < kept) store<Vectorized>(parts + (chunk * kept + k) * plan.channels + channel, valid, sums[k]);
  }
}

// Parts of sums as rows of their own. values: [rows][kParts][channels].
template <class M>
struct MergeBody {
  using Element = double;
  using Merge = M;
  static constexpr int N = kPack<double>, kResidentBlocks = 2;
  const double* values;
  int64_t row_length;

  struct State {
    double sums[M::kParts][N];
  };

  template <bool Vectorized>
  __device__ __forceinline__ State channels(int64_t, int) const {
    State state;
#pragma unroll
    for (int k = 0; k < M::kParts; ++k)
#pragma unroll
      for (int i = 0; i < N; ++i) state.sums[k][i] = 0.0;
    return state;
  }

  template <bool Vectorized>
  __device__ __forceinline__ void row(State& state, int64_t row, int64_t channel, int valid) const {
    double read[M::kParts][N];
#pragma unroll
    for (int k = 0; k < M::kParts; ++k)
      load<Vectorized>(values + (row * M::kParts + k) * row_length + channel, valid, read[k]);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      double sum[M::kParts], other[M::kParts];
#pragma unroll
      for (int k = 0; k < M::kParts; ++k) sum[k] = state.sums[k][i], other[k] = read[k][i];
      M::merge(sum, other);
#pragma unroll
      for (int k = 0; k < M::kParts; ++k) state.sums[k][i] = sum[k];
    }
  }

  __device__ __forceinline__ void parts(const State& state, int i, double (&into)[M::kParts]) const {
#pragma unroll
    for (int k = 0; k < M::kParts; ++k) into[k] = element(state.sums[k], i);
  }
};

template <class Launcher, class Body>
void launch_channels(const Launcher& launcher, const Body& body, int64_t rows, int64_t channels, bool vectorized,
                     double* parts, int kept, int64_t blocks_deep) {
  const ChannelPlan plan = ChannelPlan::make(rows, channels, kPack<typename Body::Element>);
  auto* kernel = vectorized ? &channels_kernel<true, Body> : &channels_kernel<false, Body>;
  launcher.launch(kernel, blocks_deep * plan.blocks_wide, kChannelThreads, body, plan, parts, kept);
}

template <class Body>
int64_t blocks_deep(int64_t rows, int64_t channels) {
  const int64_t per_block =
      ChannelPlan::make(rows, channels, kPack<typename Body::Element>).rows_per_block(kChannelThreads, kRowsPerThread);
  return (rows + per_block - 1) / per_block;
}

// Runs a body without sums over all rows. Launcher: cuda/launch.h.
template <class Launcher, class Body>
void run_channels(const Launcher& launcher, const Body& body, int64_t rows, int64_t channels, bool vectorized) {
  if (rows == 0 || channels == 0) return;
  launch_channels(launcher, body, rows, channels, vectorized, nullptr, 0, blocks_deep<Body>(rows, channels));
}

// Runs a body over all rows and combines the parts of its sums. sums: [kept][channels], on an address that wide
// accesses allow.
template <class Launcher, class Body>
void reduce_channels(const Launcher& launcher, const Body& body, int64_t rows, int64_t channels, bool vectorized,
                     double* sums, int kept) {
  using Merge = typename Body::Merge;
  if (channels == 0) return;
  const int64_t deep = blocks_deep<Body>(rows, channels);
  if (deep <= 1) return launch_channels(launcher, body, rows, channels, vectorized, sums, kept, 1);
  const auto partials = launcher.template scratch<double>(deep * Merge::kParts * channels);
  launch_channels(launcher, body, rows, channels, vectorized, partials.data, Merge::kParts, deep);
  const MergeBody<Merge> merge{partials.data, channels};
  reduce_channels(launcher, merge, deep, channels, channels % kPack<double> == 0, sums, kept);
}

}  // namespace dgf::cuda
