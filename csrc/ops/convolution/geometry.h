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
  // Pixels (y + step * i, x + step * j) of a window of rows x columns.
  void window(int64_t example, int64_t y, int64_t x, int step, int rows, int columns, const T** pixels) const {
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j) pixels[i * columns + j] = at(example, y + step * i, x + step * j);
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
