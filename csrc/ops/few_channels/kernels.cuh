// CUDA kernels of convolutions whose large image has few channels (image layers: 128 -> 3 and 3 -> 128), any kernel,
// stride and padding. Images are [N, height, width, channels]; number i of the small image and number
// stride * i - padding + tap of the large are joined along an axis, as in ops/convolution/cuda_geometry.h.
#pragma once

#include "cuda/activation.cuh"
#include "ops/batch_norm_act/channels.cuh"

namespace dgf::cuda {

inline constexpr int kFewChannelThreads = 128;

struct JoinedImages {
  int64_t batch, small_height, small_width, small_channels, large_height, large_width, large_channels;
  int64_t kernel, stride, padding;

  __host__ __device__ int64_t small_pixels() const { return batch * small_height * small_width; }
  __host__ __device__ int64_t patch() const { return large_channels * kernel * kernel; }
};

struct Pixel {
  int64_t image, row, column;
};

__device__ __forceinline__ Pixel pixel_at(int64_t number, int64_t height, int64_t width) {
  int64_t line, image;
  if (number >> 32 == 0) {  // several times cheaper
    line = static_cast<uint32_t>(number) / static_cast<uint32_t>(width);
    image = static_cast<uint32_t>(line) / static_cast<uint32_t>(height);
  } else {
    line = number / width;
    image = line / height;
  }
  return {image, line - image * height, number - line * width};
}

// Number `entry` of the patch of the large image that belongs to a pixel of the small one, in the order of the weights
// [channel, row tap, column tap]; zero outside of the image.
template <class T>
__device__ __forceinline__ Compute<T> patch_entry(const JoinedImages& images, const T* large, const Pixel& small,
                                                  int entry) {
  const int kernel = static_cast<int>(images.kernel);
  const int channel = entry / (kernel * kernel), tap = entry - channel * kernel * kernel;
  const int64_t row = images.stride * small.row - images.padding + tap / kernel;
  const int64_t column = images.stride * small.column - images.padding + tap % kernel;
  if (row < 0 || row >= images.large_height || column < 0 || column >= images.large_width) return Compute<T>(0);
  const int64_t pixel = (small.image * images.large_height + row) * images.large_width + column;
  return static_cast<Compute<T>>(large[pixel * images.large_channels + channel]);
}

// ---- convolution: few channels to many
// ---------------------------------------------------------------------------------

inline constexpr int kConvolutionPixels = 8;  // of a thread
inline constexpr int kPatchDepth = 16;        // entries of the patches that a block holds at a time
inline constexpr int kFewestLanes = 8;
inline constexpr int kMostGroups = kFewChannelThreads / kFewestLanes;  // of threads with the same channels

// A block's channels: `lanes` packs side by side, a power of two.
struct FewChannelPlan {
  int64_t blocks_wide, blocks_deep;
  int lanes;

  static FewChannelPlan make(int64_t pixels, int64_t channels, int pack) {
    const ChannelPlan plan = ChannelPlan::make(pixels, channels, pack);
    const int lanes = plan.lanes < kFewestLanes ? kFewestLanes : plan.lanes;
    const int64_t per_block = kFewChannelThreads / lanes * kConvolutionPixels;
    return {plan.blocks_wide, (pixels + per_block - 1) / per_block, lanes};
  }
};

// small = activation((large * weights) * scale + shift). weights [patch, small_channels]. A thread computes a pack of
// channels of kConvolutionPixels pixels; the patches of a block's pixels pass through shared memory.
template <bool Vectorized, class T>
__global__ void __launch_bounds__(kFewChannelThreads)
    few_to_many_kernel(JoinedImages images, FewChannelPlan plan, const T* large, const T* weights,
                       Epilogue<Compute<T>> epilogue, T* small) {
  using C = Compute<T>;
  constexpr int N = kPack<T>, P = kConvolutionPixels;
  __shared__ C patches[kPatchDepth][kMostGroups * P];
  const int lane = threadIdx.x & (plan.lanes - 1), group = threadIdx.x / plan.lanes;
  const int block_pixels = kFewChannelThreads / plan.lanes * P;
  const int64_t channels = images.small_channels, pixels = images.small_pixels();
  const int64_t own = (blockIdx.x % plan.blocks_wide * plan.lanes + lane) * N;
  const int64_t first_pixel = blockIdx.x / plan.blocks_wide * block_pixels;
  const bool active = own < channels;
  const int64_t channel = active ? own : 0;
  const int valid = Vectorized ? N : static_cast<int>(min(static_cast<int64_t>(N), channels - channel));
  const int depth = static_cast<int>(images.patch());
  C sums[P][N];
#pragma unroll
  for (int p = 0; p < P; ++p)
#pragma unroll
    for (int i = 0; i < N; ++i) sums[p][i] = C(0);

  for (int begin = 0; begin < depth; begin += kPatchDepth) {
    const int entries = min(kPatchDepth, depth - begin);
    __syncthreads();  // until the last patches have been read
    for (int i = threadIdx.x; i < block_pixels * entries; i += kFewChannelThreads) {
      const int entry = i / block_pixels, pixel = i - entry * block_pixels;
      C value = C(0);
      if (first_pixel + pixel < pixels)
        value = patch_entry(images, large, pixel_at(first_pixel + pixel, images.small_height, images.small_width),
                            begin + entry);
      patches[entry][pixel] = value;
    }
    __syncthreads();
    for (int entry = 0; entry < entries; ++entry) {
      C weight[N];
      load<Vectorized>(weights + (begin + entry) * channels + channel, valid, weight);
#pragma unroll
      for (int p = 0; p < P; ++p) {
        const C value = patches[entry][group * P + p];
#pragma unroll
        for (int i = 0; i < N; ++i) sums[p][i] = dgf::fma(value, weight[i], sums[p][i]);
      }
    }
  }
  if (!active) return;
  typename Epilogue<C>::template Channels<N> coefficients;
  epilogue.template read<Vectorized>(channel, valid, coefficients);
#pragma unroll
  for (int p = 0; p < P; ++p) {
    const int64_t pixel = first_pixel + group * P + p;
    if (pixel >= pixels) break;
    epilogue.apply(coefficients, sums[p]);
    store<Vectorized>(small + pixel * channels + channel, valid, sums[p]);
  }
}

// ---- transposed convolution: many channels to few
// ----------------------------------------------------------------------

// large = activation(sum of products * scale + shift): products [small pixels, patch] is small times weights, and each
// number of the large image adds up those that reach it. A thread a number; `first_image` is where the products start.
template <class C>
__global__ void __launch_bounds__(kFewChannelThreads)
    gather_kernel(JoinedImages images, int64_t first_image, int64_t count, const C* products, Epilogue<C> epilogue,
                  C* large) {
  const int64_t number = static_cast<int64_t>(blockIdx.x) * kFewChannelThreads + threadIdx.x;
  if (number >= count) return;
  const int64_t pixel_number = number / images.large_channels, channel = number - pixel_number * images.large_channels;
  const Pixel pixel = pixel_at(pixel_number, images.large_height, images.large_width);
  const int kernel = static_cast<int>(images.kernel), stride = static_cast<int>(images.stride);
  const int padding = static_cast<int>(images.padding);
  const int row = static_cast<int>(pixel.row) + padding, column = static_cast<int>(pixel.column) + padding;
  const int64_t patch = images.patch();
  C sum[1] = {C(0)};
  for (int tap = row % stride; tap < kernel && tap <= row; tap += stride) {
    const int small_row = (row - tap) / stride;
    if (small_row >= images.small_height) continue;
    for (int other = column % stride; other < kernel && other <= column; other += stride) {
      const int small_column = (column - other) / stride;
      if (small_column >= images.small_width) continue;
      const int64_t small = (pixel.image * images.small_height + small_row) * images.small_width + small_column;
      sum[0] += products[small * patch + (channel * kernel + tap) * kernel + other];
    }
  }
  typename Epilogue<C>::template Channels<1> coefficients;
  epilogue.template read<false>(channel, 1, coefficients);
  epilogue.apply(coefficients, sum);
  large[first_image * images.large_height * images.large_width * images.large_channels + number] = sum[0];
}

// ---- weight gradient
// ---------------------------------------------------------------------------------------------------

// patches [small pixels, patch] of the large image, for `count` entries of pixels from `first_pixel` on. A thread kPack
// entries of a pixel.
template <bool Vectorized, class C>
__global__ void __launch_bounds__(kFewChannelThreads)
    patches_kernel(JoinedImages images, int64_t first_pixel, int64_t pixels, const C* large, C* patches) {
  constexpr int N = kPack<C>;
  const int64_t patch = images.patch(), packs = (patch + N - 1) / N;
  const int64_t unit = static_cast<int64_t>(blockIdx.x) * kFewChannelThreads + threadIdx.x;
  const int64_t pixel = unit / packs;
  if (pixel >= pixels) return;
  const int entry = static_cast<int>(unit - pixel * packs) * N;
  const int valid = Vectorized ? N : static_cast<int>(min(static_cast<int64_t>(N), patch - entry));
  const Pixel small = pixel_at(first_pixel + pixel, images.small_height, images.small_width);
  C values[N];
#pragma unroll
  for (int i = 0; i < N; ++i) values[i] = i < valid ? patch_entry(images, large, small, entry + i) : C(0);
  store<Vectorized>(patches + pixel * patch + entry, valid, values);
}

}  // namespace dgf::cuda
