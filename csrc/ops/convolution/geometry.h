// Where the pixels of a convolution's two images meet. Included once per instruction set, inside its namespace.

constexpr int kMaxStride = 2, kMaxTaps = 3, kMaxWindow = kTile + kMaxTaps - 1;

// The taps first, first + stride, ... along an axis: through tap first + stride * t, small pixel i meets large pixel
// stride * (i + offset + t) + large_phase. A stride-2 convolution has two phases an axis, a stride-1 convolution one.
struct Phase {
  int taps, first, large_phase;
  int64_t offset;
};

DGF_INLINE Phase phase_of(const ConvolutionShape& s, int first) {
  const int large_phase = ((first - s.padding) % s.stride + s.stride) % s.stride;
  return {(s.kernel - first + s.stride - 1) / s.stride, first, large_phase,
          (first - s.padding - large_phase) / s.stride};
}

// Calls body.template operator()<taps_y, taps_x>() for the numbers of taps at hand.
template <class F>
DGF_INLINE void with_taps(int taps_y, int taps_x, F body) {
  switch (taps_y * 4 + taps_x) {
    case 1 * 4 + 1: return body.template operator()<1, 1>();
    case 1 * 4 + 2: return body.template operator()<1, 2>();
    case 2 * 4 + 1: return body.template operator()<2, 1>();
    case 2 * 4 + 2: return body.template operator()<2, 2>();
    case 2 * 4 + 3: return body.template operator()<2, 3>();
    case 3 * 4 + 2: return body.template operator()<3, 2>();
    default: return body.template operator()<3, 3>();
  }
}

// An image of channels-last pixels, and the pixels outside it: zeros.
template <class T>
struct Image {
  const T* data;
  int64_t height, width, channels;
  const T* zeros;  // one pixel

  const T* at(int64_t example, int64_t y, int64_t x) const {
    const bool inside = y >= 0 && y < height && x >= 0 && x < width;
    return inside ? data + ((example * height + y) * width + x) * channels : zeros;
  }
};

// Tiles of kTile x kTile pixels of the small image's grid (of each phase of the large one), over all examples.
struct TileGrid {
  int64_t rows, columns;
  struct Position {
    int64_t example, y, x;  // y, x: of the tile's first pixel
  };
  Position at(int64_t tile) const {
    const int64_t within = tile % (rows * columns);
    return {tile / (rows * columns), within / columns * kTile, within % columns * kTile};
  }
};

DGF_INLINE int64_t tiles_along(int64_t pixels) { return (pixels + kTile - 1) / kTile; }
// Tiles that cover the small image (for a convolution and the weight gradient), or the large one (transposed).
DGF_INLINE TileGrid small_grid(const ConvolutionShape& s) {
  return {tiles_along(s.small_height), tiles_along(s.small_width)};
}
DGF_INLINE TileGrid large_grid(const ConvolutionShape& s) {
  return {tiles_along((s.large_height + s.stride - 1) / s.stride),
          tiles_along((s.large_width + s.stride - 1) / s.stride)};
}

DGF_INLINE int smaller(int64_t a, int64_t b) { return (int)(a < b ? a : b); }

// Calls body(tile, pixels, next) for `count` tiles from `first` on: the pixels (step * y + top + step * i,
// step * x + left + step * j) of the window that belongs to the tile at (y, x), and those of the next tile.
template <int kRows, int kColumns, class T, class F>
DGF_INLINE void each_window(const Image<T>& image, const TileGrid& grid, int64_t first, int64_t count, int step,
                            int64_t top, int64_t left, F body) {
  const T* pixels[2][kRows * kColumns];
  const auto find = [&](int64_t tile, const T** window) {
    const TileGrid::Position at = grid.at(first + tile);
    for (int i = 0; i < kRows; ++i)
      for (int j = 0; j < kColumns; ++j)
        window[i * kColumns + j] = image.at(at.example, step * (at.y + i) + top, step * (at.x + j) + left);
  };
  if (count > 0) find(0, pixels[0]);
  for (int64_t tile = 0; tile < count; ++tile) {
    const T** const next = pixels[(tile + 1) % 2];
    find(tile + 1 < count ? tile + 1 : tile, next);
    body(tile, pixels[tile % 2], next);
  }
}

// Lines that will be read soon, one of each pixel.
template <int count, class T>
DGF_INLINE void expect_loads(const T* const* pixels, int64_t at) {
#pragma GCC unroll 36
  for (int i = 0; i < count; ++i) __builtin_prefetch(pixels[i] + at);
}
