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

#if DGF_VECTOR_BYTES == 64
// 16 kernels of 4 x 4 taps from tap-by-tap vectors: a 16 x 16 transposition, then a line a kernel.
DGF_INLINE void store_kernels_of_4x4(const Floats* taps, float* to, int64_t lane_stride) {
  const __m512i low_pairs = _mm512_setr_epi32(0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
  const __m512i high_pairs = _mm512_setr_epi32(2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  const __m512i low_halves = _mm512_setr_epi32(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
  const __m512i high_halves = _mm512_setr_epi32(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  __m512 quads[4][4];  // [taps 4 q ...][kernel l % 4]: lanes 4 g + i hold tap 4 q + i of kernel 4 g + l
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    const __m512 t0 = (__m512)taps[4 * q].part[0], t1 = (__m512)taps[4 * q + 1].part[0];
    const __m512 t2 = (__m512)taps[4 * q + 2].part[0], t3 = (__m512)taps[4 * q + 3].part[0];
    const __m512 low01 = _mm512_permutex2var_ps(t0, low_pairs, t1), high01 = _mm512_permutex2var_ps(t0, high_pairs, t1);
    const __m512 low23 = _mm512_permutex2var_ps(t2, low_pairs, t3), high23 = _mm512_permutex2var_ps(t2, high_pairs, t3);
    quads[q][0] = _mm512_permutex2var_ps(low01, low_halves, low23);
    quads[q][1] = _mm512_permutex2var_ps(low01, high_halves, low23);
    quads[q][2] = _mm512_permutex2var_ps(high01, low_halves, high23);
    quads[q][3] = _mm512_permutex2var_ps(high01, high_halves, high23);
  }
#pragma GCC unroll 4
  for (int l = 0; l < 4; ++l) {
    const __m512 low01 = _mm512_shuffle_f32x4(quads[0][l], quads[1][l], 0x44);
    const __m512 low23 = _mm512_shuffle_f32x4(quads[2][l], quads[3][l], 0x44);
    const __m512 high01 = _mm512_shuffle_f32x4(quads[0][l], quads[1][l], 0xEE);
    const __m512 high23 = _mm512_shuffle_f32x4(quads[2][l], quads[3][l], 0xEE);
    _mm512_storeu_ps(to + l * lane_stride, _mm512_shuffle_f32x4(low01, low23, 0x88));
    _mm512_storeu_ps(to + (4 + l) * lane_stride, _mm512_shuffle_f32x4(low01, low23, 0xDD));
    _mm512_storeu_ps(to + (8 + l) * lane_stride, _mm512_shuffle_f32x4(high01, high23, 0x88));
    _mm512_storeu_ps(to + (12 + l) * lane_stride, _mm512_shuffle_f32x4(high01, high23, 0xDD));
  }
}
#endif

// The kernels of 16 lanes, from vectors tap by tap; lane l's lies at to + l * taps.
template <class V, class T>
DGF_INLINE void store_kernels(const V* vectors, int taps, T* to, int lanes) {
#if DGF_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == sizeof(float))
    if (taps == 16 && lanes == kLanes) return store_kernels_of_4x4(vectors, to, taps);
#endif
  for (int t = 0; t < taps; ++t) {
    T lane[kLanes];
    store_vector(vectors[t], lane);
    for (int l = 0; l < lanes; ++l) to[l * taps + t] = lane[l];
  }
}
