// Weights between their own layout [A, B, kernel, kernel] and vectors of 16 channels, tap by tap.
// Included once per instruction set, inside its namespace.

// 16 lanes of one tap each; the weight of lane l lies at from + l * lane_stride.
template <int kY, int kX, class V, class T>
DGF_INLINE void load_taps(const T* from, int64_t lane_stride, int lanes, int kernel, int stride, bool flipped,
                          V (&taps)[kY][kX]) {
  T lane[kY * kX][kLanes];
  if (lanes < kLanes) memset(lane, 0, sizeof lane);
  for (int l = 0; l < lanes; ++l)
#pragma GCC unroll 3
    for (int i = 0; i < kY; ++i)
#pragma GCC unroll 3
      for (int j = 0; j < kX; ++j) lane[i * kX + j][l] = from[l * lane_stride + stride * (i * kernel + j)];
#pragma GCC unroll 3
  for (int i = 0; i < kY; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < kX; ++j) {
      const int y = flipped ? kY - 1 - i : i, x = flipped ? kX - 1 - j : j;
      load_vector(lane[y * kX + x], taps[i][j]);
    }
}

template <int kY, int kX, class V, class T>
DGF_INLINE void store_taps(const V (&taps)[kY][kX], T* to, int64_t lane_stride, int lanes, int kernel, int stride) {
  T lane[kY * kX][kLanes];
#pragma GCC unroll 3
  for (int i = 0; i < kY; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < kX; ++j) store_vector(taps[i][j], lane[i * kX + j]);
  for (int l = 0; l < lanes; ++l)
#pragma GCC unroll 3
    for (int i = 0; i < kY; ++i)
#pragma GCC unroll 3
      for (int j = 0; j < kX; ++j) to[l * lane_stride + stride * (i * kernel + j)] = lane[i * kX + j][l];
}
