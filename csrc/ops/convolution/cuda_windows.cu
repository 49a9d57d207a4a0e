// The kernels that transform windows, which all three convolutions use.
#include "ops/convolution/cuda_call.h"

namespace dgf::cuda {

template <class Block>
void launch_windows(const Launcher& launcher, const float* image, const ImageView& view, const TileRange& tiles,
                    int phases, float* products, int64_t product_stride, int64_t tile_stride) {
  const int pack = pack_of(view.channels, image);
  const TilePlan plan = TilePlan::make(tiles, view.channels, pack);
  auto* kernel = pack == kWide ? &windows_kernel<kWide, Block> : &windows_kernel<1, Block>;
  if (plan.blocks(phases) > 0)
    launcher.launch(kernel, plan.blocks(phases), kTileThreads, image, view, plan, products, product_stride,
                    tile_stride);
}

#define DGF_WINDOWS(rows, columns)                                                                    \
  template void launch_windows<Block<rows, columns>>(const Launcher&, const float*, const ImageView&, \
                                                     const TileRange&, int, float*, int64_t, int64_t)
DGF_WINDOWS(1, 1);
DGF_WINDOWS(1, 2);
DGF_WINDOWS(2, 1);
DGF_WINDOWS(2, 2);
DGF_WINDOWS(2, 3);
DGF_WINDOWS(3, 2);
DGF_WINDOWS(3, 3);
#undef DGF_WINDOWS

}  // namespace dgf::cuda
