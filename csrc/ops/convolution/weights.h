// Weights between their own layout [A, B, kernel, kernel] and vectors of 16 channels, tap by tap.
// Included once per instruction set, inside its namespace.

#if DGF_VECTOR_BYTES == 64
// The 2 x 2 taps of one phase of 16 kernels of 4 x 4, each a line of 16 floats: four picked of each line, in pairs of
// lines, and brought into place by 20 shuffles where a transposition of the lines takes 64.
DGF_INLINE void load_phase_of_4x4(const float* kernels, int64_t lane_stride, int first, Floats (&taps)[2][2]) {
  const __m512i offset = _mm512_set1_epi32(first);
  // Lanes 0 to 3: the taps of the first line; 4 to 7: of the second.
  const __m512i pick =
      _mm512_add_epi32(offset, _mm512_setr_epi32(0, 2, 8, 10, 16, 18, 24, 26, 0, 2, 8, 10, 16, 18, 24, 26));
  // Four lines by four taps, tap by tap.
  const __m512i join = _mm512_setr_epi32(0, 4, 16, 20, 1, 5, 17, 21, 2, 6, 18, 22, 3, 7, 19, 23);
  __m512 quad[4];
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    const float* line = kernels + 4 * q * lane_stride;
    const __m512 low = _mm512_permutex2var_ps(_mm512_loadu_ps(line), pick, _mm512_loadu_ps(line + lane_stride));
    const __m512 high =
        _mm512_permutex2var_ps(_mm512_loadu_ps(line + 2 * lane_stride), pick, _mm512_loadu_ps(line + 3 * lane_stride));
    quad[q] = _mm512_permutex2var_ps(low, join, high);
  }
  const __m512 low01 = _mm512_shuffle_f32x4(quad[0], quad[1], 0x44),
               low23 = _mm512_shuffle_f32x4(quad[2], quad[3], 0x44);
  const __m512 high01 = _mm512_shuffle_f32x4(quad[0], quad[1], 0xEE),
               high23 = _mm512_shuffle_f32x4(quad[2], quad[3], 0xEE);
  taps[0][0].part[0] = (NativeFloat)_mm512_shuffle_f32x4(low01, low23, 0x88);
  taps[0][1].part[0] = (NativeFloat)_mm512_shuffle_f32x4(low01, low23, 0xDD);
  taps[1][0].part[0] = (NativeFloat)_mm512_shuffle_f32x4(high01, high23, 0x88);
  taps[1][1].part[0] = (NativeFloat)_mm512_shuffle_f32x4(high01, high23, 0xDD);
}
#endif

// 16 lanes of one tap each: the taps of the phase that begins at tap `first` of the kernels, of which lane l's lies at
// kernels + l * lane_stride.
template <int kY, int kX, class V, class T>
DGF_INLINE void load_taps(const T* kernels, int64_t lane_stride, int lanes, int first, int kernel, int stride,
                          bool flipped, V (&taps)[kY][kX]) {
#if DGF_VECTOR_BYTES == 64
  if constexpr (kY == 2 && kX == 2 && sizeof(T) == sizeof(float))
    if (kernel == 4 && stride == 2 && lanes == kLanes) {
      V found[2][2];
      load_phase_of_4x4(kernels, lane_stride, first, found);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) taps[i / 2][i % 2] = flipped ? found[1 - i / 2][1 - i % 2] : found[i / 2][i % 2];
      return;
    }
#endif
  const T* const from = kernels + first;
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
