// From the tensors of the convolutions to the kernels of Winograd filtering and the library's matrix products.
//
// Memory beyond inputs and outputs, in floats: the transformed weights, P * A * B, with P the products of all phases
// (100 for kernel 4, 81 for 3 and 121 for 5 at stride 2, 36 for kernel 3 at stride 1), and at most kWorkspaceBytes (or
// what one tile takes) of transformed images, which are handled in chunks of tiles.
#pragma once

#include "cuda/activation_call.h"
#include "cuda/product.h"
#include "cuda/rows.cuh"
#include "ops/convolution/cuda_tiles.cuh"
#include "ops/convolution/cuda_weights.cuh"

namespace dgf::cuda {

#if defined(DGF_SIMT)
inline constexpr int64_t kWorkspaceBytes = 1 << 18;  // so that small tests have several chunks
#else
inline constexpr int64_t kWorkspaceBytes = 1 << 27;
#endif

template <class Visitor>
auto with_geometry(int64_t kernel, int64_t stride, int64_t padding, const Visitor& visit) {
  if (kernel == 4 && stride == 2 && padding == 1) return visit(Kernel4Stride2{});
  if (kernel == 3 && stride == 2 && padding == 1) return visit(Kernel3Stride2{});
  if (kernel == 5 && stride == 2 && padding == 2) return visit(Kernel5Stride2{});
  if (kernel == 3 && stride == 1 && padding == 1) return visit(Kernel3Stride1{});
  STD_TORCH_CHECK(false, "deepgen_fast (cuda): kernel ", kernel, ", stride ", stride, ", padding ", padding,
                  " has no Winograd filtering; there is for 4, 2, 1; 3, 2, 1; 5, 2, 2 and 3, 1, 1");
}

struct ImageSize {
  int64_t batch, channels, height, width;

  explicit ImageSize(const Tensor& image)
      : batch(image.size(0)), channels(image.size(1)), height(image.size(2)), width(image.size(3)) {}
  ImageSize(int64_t batch, int64_t channels, int64_t height, int64_t width)
      : batch(batch), channels(channels), height(height), width(width) {}
  std::vector<int64_t> sizes() const { return {batch, channels, height, width}; }
};

inline void check_image(const Tensor& image, const char* name) {
  STD_TORCH_CHECK(image.dim() == 4, "deepgen_fast (cuda): ", name, " must be [N, C, H, W], got ", image.dim(),
                  " dimensions");
  STD_TORCH_CHECK(image.scalar_type() == ScalarType::Float, "deepgen_fast (cuda): ", name,
                  " must be float32; other types are left to PyTorch's own convolution");
}

inline void check_weight(const Tensor& weight, int64_t input_channels, int input_dimension) {
  STD_TORCH_CHECK(
      weight.dim() == 4 && weight.size(2) == weight.size(3) && weight.size(input_dimension) == input_channels,
      "deepgen_fast (cuda): weight must be 4-dimensional with a square kernel and have ", input_channels,
      " input channels in dimension ", input_dimension);
}

// The tiles of a batch, and how many of them are handled at a time.
struct Tiling {
  int64_t count, rows, columns, chunk;

  Tiling(int64_t batch, int64_t height, int64_t width, int64_t floats_per_tile)
      : rows((height + kOutputs - 1) / kOutputs), columns((width + kOutputs - 1) / kOutputs) {
    count = batch * rows * columns;
    const int64_t fitting =
        kWorkspaceBytes / static_cast<int64_t>(sizeof(float)) / std::max<int64_t>(1, floats_per_tile);
    chunk = std::min(count, std::max<int64_t>(1, fitting));
  }
  // Calls visit(range) chunk by chunk.
  template <class Visitor>
  void over_chunks(const Visitor& visit) const {
    for (int64_t first = 0; first < count; first += chunk)
      visit(TileRange{first, std::min(chunk, count - first), rows, columns});
  }
};

// How many channels a thread handles: kWide, or one where wide accesses are not allowed.
inline int pack_of(int64_t channels, const float* image, const Epilogue<float>& epilogue = {}) {
  return bool(Alignment<float>(channels).with(image).with(epilogue.scale).with(epilogue.shift)) ? kWide : 1;
}

// Calls visit(first_phase, block, first_product) for each group of phases, with where its first phase's products start
// among those of all phases.
template <class Shape, class Visitor>
void over_groups(const Visitor& visit) {
  unrolled<Shape::groups>([&](auto group) {
    constexpr int first = group() * Shape::group_phases;
    visit(first, typename Shape::template PhaseBlock<first>{}, Shape::template first_product<first>());
  });
}

// Which numbers of an image the phases of a group read or write: origin(phase along an axis) is where tile 0
// starts, and the products of the phases follow each other at phase_products.
template <class Shape, class Origin>
ImageView group_view(const ImageSize& size, int step, int first_phase, int64_t phase_products, const Origin& origin) {
  ImageView view{size.height, size.width, size.channels, step, {}};
  for (int i = 0; i < Shape::group_phases; ++i) {
    const int phase = first_phase + i;
    view.phases[i] = {origin(phase / Shape::stride), origin(phase % Shape::stride), i * phase_products};
  }
  return view;
}

inline ImageView whole_view(const ImageSize& size) { return {size.height, size.width, size.channels, 1, {}}; }

// Transformed weights: [phase_products, A, B] of a transposed convolution, else [group_products, A, group_phases * B].
template <class Shape, bool Transposing>
Tensor transform_weights(const Launcher& launcher, const Tensor& weight) {
  const int64_t rows = weight.size(0), columns = weight.size(1), taps = Shape::kernel * Shape::kernel;
  const int64_t row_stride = Transposing ? columns : Shape::group_phases * columns;
  const Tensor products = new_tensor(
      weight, {Transposing ? Shape::phase_products : Shape::group_products, rows, row_stride}, ScalarType::Float);
  const float* data = launcher.input<float>(weight, rows * columns * taps, "weight");
  const int pack = pack_of(columns, data);
  auto* kernel = pack == kWide ? &weights_kernel<kWide, Shape, Transposing> : &weights_kernel<1, Shape, Transposing>;
  const int64_t units = rows * columns / pack;
  if (units > 0)
    launcher.launch(kernel, (units + kWeightThreads - 1) / kWeightThreads, kWeightThreads, data, rows, columns,
                    mutable_data<float>(products), rows * row_stride, row_stride);
  return products;
}

// In cuda_windows.cu, so that the kernels of all three convolutions are compiled once.
template <class Block>
void launch_windows(const Launcher& launcher, const float* image, const ImageView& view, const TileRange& tiles,
                    int phases, float* products, int64_t product_stride, int64_t tile_stride);

// V [phase_products, tiles, A]: the windows of the small image from which each phase of the large one is made.
template <class Shape>
void small_windows(const Launcher& launcher, const float* image, const ImageSize& size, const TileRange& tiles,
                   float* products) {
  const int64_t stride = tiles.count * size.channels;
  const auto origin = [](int phase) { return Shape::shift(phase) - Shape::taps(phase) + 1; };
  over_groups<Shape>([&](int first_phase, auto block, int first_product) {
    using B = decltype(block);
    const ImageView view = group_view<Shape>(size, 1, first_phase, B::products * stride, origin);
    launch_windows<B>(launcher, image, view, tiles, Shape::group_phases, products + first_product * stride, stride,
                      size.channels);
  });
}

// V [group_products, tiles, group_phases * B]: the windows of each phase of the large image.
template <class Shape>
void large_windows(const Launcher& launcher, const float* image, const ImageSize& size, const TileRange& tiles,
                   float* products) {
  const int64_t tile_stride = Shape::group_phases * size.channels, stride = tiles.count * tile_stride;
  const auto origin = [](int phase) { return phase - Shape::stride * Shape::shift(phase); };
  over_groups<Shape>([&](int first_phase, auto block, int first_product) {
    const ImageView view = group_view<Shape>(size, Shape::stride, first_phase, size.channels, origin);
    launch_windows<decltype(block)>(launcher, image, view, tiles, Shape::group_phases,
                                    products + first_product * stride, stride, tile_stride);
  });
}

// Z [group_products, tiles, A] of the small image's tiles.
template <class Shape>
void small_tiles(const Launcher& launcher, const float* image, const ImageSize& size, const TileRange& tiles,
                 float* products) {
  const int pack = pack_of(size.channels, image);
  const TilePlan plan = TilePlan::make(tiles, size.channels, pack);
  auto* kernel = pack == kWide ? &tiles_kernel<kWide, Shape> : &tiles_kernel<1, Shape>;
  if (plan.blocks(1) > 0)
    launcher.launch(kernel, plan.blocks(1), kTileThreads, image, whole_view(size), plan, products,
                    tiles.count * size.channels);
}

// Statistics of an output, whose parts the output kernels write block by block.
class OutputStatistics {
 public:
  OutputStatistics(const Launcher& launcher, const Tiling& tiling, int64_t channels, int pack, int phases, bool wanted)
      : channels_(channels) {
    if (!wanted) return;
    tiling.over_chunks(
        [&](const TileRange& tiles) { blocks_ += phases * TilePlan::make(tiles, channels_, pack).blocks_deep; });
    parts_ = launcher.scratch<double>(blocks_ * MergeMoments::kParts * channels_);
  }

  // Where the next `blocks` blocks put their parts; null if none are wanted.
  double* take(int64_t blocks) {
    if (!parts_.data) return nullptr;
    const int64_t first = taken_;
    taken_ += blocks;
    return parts_.data + first * MergeMoments::kParts * channels_;
  }

  // statistics: [2, channels]
  void finish(const Launcher& launcher, double* statistics) const {
    const MergeBody<MergeMoments> body{parts_.data, channels_};
    reduce_channels(launcher, body, blocks_, channels_, channels_ % kPack<double> == 0, statistics, 2);
  }

 private:
  int64_t channels_, blocks_ = 0, taken_ = 0;
  Launcher::Scratch<double> parts_{};
};

// What becomes of the outputs of a convolution.
struct OutputTarget {
  float* image;
  ImageSize size;
  Epilogue<float> epilogue;
  int pack;
  OutputStatistics statistics;

  OutputTarget(const Launcher& launcher, float* image, const ImageSize& size, const Epilogue<float>& epilogue,
               const Tiling& tiling, int phases, bool statistics)
      : image(image),
        size(size),
        epilogue(epilogue),
        pack(pack_of(size.channels, image, epilogue)),
        statistics(launcher, tiling, size.channels, pack, phases, statistics) {}
};

// M [phase_products, tiles, B] to the phases of the large image.
template <class Shape>
void large_outputs(const Launcher& launcher, const float* products, const TileRange& tiles, OutputTarget& target) {
  const TilePlan plan = TilePlan::make(tiles, target.size.channels, target.pack);
  const int64_t stride = tiles.count * target.size.channels;
  over_groups<Shape>([&](int first_phase, auto block, int first_product) {
    using B = decltype(block);
    const ImageView view = group_view<Shape>(target.size, Shape::stride, first_phase, B::products * stride,
                                             [](int phase) { return phase; });
    auto* kernel = target.pack == kWide ? &outputs_kernel<kWide, B> : &outputs_kernel<1, B>;
    double* parts = target.statistics.take(Shape::group_phases * plan.blocks_deep);
    if (plan.blocks(Shape::group_phases) > 0)
      launcher.launch(kernel, plan.blocks(Shape::group_phases), kTileThreads, products + first_product * stride, stride,
                      view, plan, target.epilogue, target.image, parts);
  });
}

// The kernel that handles all groups of a geometry at once.
template <int N, class Shape, int... group>
auto all_outputs_kernel(std::integer_sequence<int, group...>) {
  return &outputs_kernel<N, typename Shape::template PhaseBlock<group>...>;
}

// M [group_products, tiles, A], summed over the groups, to the small image.
template <class Shape>
void small_outputs(const Launcher& launcher, const float* products, const TileRange& tiles, OutputTarget& target) {
  const TilePlan plan = TilePlan::make(tiles, target.size.channels, target.pack);
  constexpr std::make_integer_sequence<int, Shape::groups> groups;
  auto* kernel = target.pack == kWide ? all_outputs_kernel<kWide, Shape>(groups) : all_outputs_kernel<1, Shape>(groups);
  double* parts = target.statistics.take(plan.blocks_deep);
  if (plan.blocks(1) > 0)
    launcher.launch(kernel, plan.blocks(1), kTileThreads, products, tiles.count * target.size.channels,
                    whole_view(target.size), plan, target.epilogue, target.image, parts);
}

// statistics [2, channels], or an empty tensor when they are not wanted; of no numbers, NaN and 0.
inline Tensor finish_statistics(const Launcher& launcher, const Tensor& like, const OutputTarget& target, bool wanted) {
  if (!wanted) return new_tensor(like, {0}, ScalarType::Double);
  const ImageSize& size = target.size;
  Tensor statistics = new_tensor(like, {2, size.channels}, ScalarType::Double);
  target.statistics.finish(launcher, mutable_data<double>(statistics));
  if (size.batch * size.height * size.width == 0) {
    Tensor mean = torch::stable::narrow(statistics, 0, 0, 1);
    torch::stable::fill_(mean, std::numeric_limits<double>::quiet_NaN());
  }
  return statistics;
}

inline void check_statistics(bool statistics, int64_t activation) {
  STD_TORCH_CHECK(!statistics || activation == kNoActivation,
                  "deepgen_fast (cuda): statistics are of an output without activation, got activation ", activation);
}

}  // namespace dgf::cuda
