// Small kernels that show what the emulator computes and what it finds. Run as: kernels CASE SCHEDULE; prints a result.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "simt.h"

namespace {

constexpr int kThreads = 96;

// Each thread reads what its neighbor wrote before the barrier.
template <bool Barrier>
__global__ void rotate(int* out) {
  __shared__ int values[kThreads];
  values[threadIdx.x] = 1000 * static_cast<int>(blockIdx.x) + static_cast<int>(threadIdx.x);
  if (Barrier) __syncthreads();
  out[blockIdx.x * kThreads + threadIdx.x] = values[(threadIdx.x + 1) % kThreads];
}

__global__ void warp_sum(int* out) {
  int sum = static_cast<int>(threadIdx.x);
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  const int down = __shfl_down_sync(0xffffffffu, sum, 1), first = __shfl_sync(0xffffffffu, sum, 0);
  __syncwarp();
  out[threadIdx.x] = sum + (down - sum) + (first - sum);
}

__global__ void half_warps(int* out) {
  // The halves exchange on their own, one of them more often than the other.
  const unsigned lane = threadIdx.x % 32, mask = lane < 16 ? 0xffffu : 0xffff0000u;
  int value = static_cast<int>(threadIdx.x);
  for (unsigned i = 0; i < (lane < 16 ? 3 : 2); ++i) value = __shfl_sync(mask, value, lane < 16 ? 5 : 21);
  out[threadIdx.x] = value;
}

__global__ void divergent_barrier(int*) {
  if (threadIdx.x < 40) __syncthreads();
}

__global__ void missing_lane(int* out) {
  if (threadIdx.x % 32 != 7) out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
}

__global__ void outside_mask(int* out) {
  if (threadIdx.x % 32 < 16) out[threadIdx.x] = __shfl_xor_sync(0xffffu, 1, 16);
}

__global__ void mixed_operations(int* out) {
  if (threadIdx.x % 2) {
    __syncwarp();
  } else {
    out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
  }
}

__global__ void overrun(int* out) { out[threadIdx.x + 2 * kThreads] = 1; }

}  // namespace

int main(int, char** arguments) {
  const std::map<std::string, void (*)(int*)> cases{
      {"rotate", &rotate<true>},       {"race", &rotate<false>},          {"warp_sum", &warp_sum},
      {"half_warps", &half_warps},     {"divergent", &divergent_barrier}, {"missing_lane", &missing_lane},
      {"outside_mask", &outside_mask}, {"mixed", &mixed_operations},      {"overrun", &overrun},
  };
  simt::schedule(static_cast<unsigned>(std::atoi(arguments[2])));
  std::vector<int> out(2 * kThreads + 1, -1);
  out.resize(2 * kThreads);
  out.shrink_to_fit();
  try {
    simt::launch(dim3(std::string(arguments[1]) == "rotate" ? 2 : 1), dim3(kThreads), cases.at(arguments[1]),
                 out.data());
  } catch (const std::runtime_error& error) {
    std::printf("error: %s\n", error.what());
    return 1;
  }
  for (int value : out) std::printf("%d ", value);
}
