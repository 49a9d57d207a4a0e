// Products of small matrices that lie in cache: to[r][c] (+)= sum over k of left[r, k] * right[k][c], with columns
// along the lanes. Included once per instruction set, after lanes.h and double_lanes.h.
//
// The tile's shape differs between instruction sets, the order of the sum over k does not: kDepth terms one after the
// other, then the next so many, added to what is there. That keeps long sums accurate, and all sets agree to the bit.

constexpr int64_t kDepth = 64;

// The left matrix may be stored either way round.
template <class A>
struct Left {
  const A* data;
  int64_t row_stride, depth_stride;
};

DGF_INLINE NativeFloat native_fma(NativeFloat a, NativeFloat b, NativeFloat c) {
#if DGF_VECTOR_BYTES == 64
  return (NativeFloat)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif DGF_VECTOR_BYTES == 32
  return (NativeFloat)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  NativeFloat r;
  for (int lane = 0; lane < kPartLanes; ++lane) r[lane] = __builtin_fmaf(a[lane], b[lane], c[lane]);
  return r;
#endif
}

// kRows x (16 * kVectors) sums in registers.
template <int kRows, int kVectors>
DGF_OUT_OF_LINE void tile(const Left<float>& left, const float* right, int64_t right_stride, int64_t depth, bool add,
                          float* to, int64_t to_stride) {
  constexpr int kParts = kVectors * DGF_PARTS;
  NativeFloat sum[kRows][kParts];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int p = 0; p < kParts; ++p) sum[r][p] = NativeFloat{};
  const float* l = left.data;
  const int64_t row_stride = left.row_stride, depth_stride = left.depth_stride;
#pragma GCC unroll 1
  for (int64_t k = 0; k < depth; ++k) {
    NativeFloat b[kParts];
#pragma GCC unroll 16
    for (int p = 0; p < kParts; ++p) b[p] = *(const UnalignedFloat*)(right + p * kPartLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const NativeFloat a = l[r * row_stride] - NativeFloat{};  // repeated in all lanes; x - 0 is x
#pragma GCC unroll 16
      for (int p = 0; p < kParts; ++p) sum[r][p] = native_fma(a, b[p], sum[r][p]);
    }
    l += depth_stride;
    right += right_stride;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int p = 0; p < kParts; ++p) {
      UnalignedFloat* place = (UnalignedFloat*)(to + r * to_stride + p * kPartLanes);
      *place = add ? *place + sum[r][p] : sum[r][p];
    }
}

// As many rows as the registers hold sums for, beside a row of the right matrix.
template <int kVectors>
constexpr int kTileRows = DGF_VECTOR_BYTES == 64 ? 8
                          : kVectors == 3        ? 2
                          : kVectors == 2        ? 3
                                                 : 6;

template <int kVectors>
DGF_OUT_OF_LINE void tile_rows(Left<float> left, const float* right, int64_t right_stride, int64_t rows, int64_t depth,
                               bool add, float* to, int64_t to_stride) {
  constexpr int kRows = kTileRows<kVectors>;
  for (; rows >= kRows; rows -= kRows) {
    tile<kRows, kVectors>(left, right, right_stride, depth, add, to, to_stride);
    left.data += kRows * left.row_stride;
    to += kRows * to_stride;
  }
  for (; rows > 0; --rows) {
    tile<1, kVectors>(left, right, right_stride, depth, add, to, to_stride);
    left.data += left.row_stride;
    to += to_stride;
  }
}

// `vectors` counts columns in 16s; all matrices have them whole.
DGF_OUT_OF_LINE void product(const Left<float>& left, const float* right, int64_t right_stride, int64_t rows,
                             int64_t vectors, int64_t depth, bool add, float* to, int64_t to_stride) {
  for (int64_t begin = 0; begin < depth; begin += kDepth) {
    const int64_t here = depth - begin < kDepth ? depth - begin : kDepth;
    const Left<float> part{left.data + begin * left.depth_stride, left.row_stride, left.depth_stride};
    const float* panel = right + begin * right_stride;
    const bool more = add || begin > 0;
    float* place = to;
    for (int64_t rest = vectors; rest > 0;) {
      const int64_t taken = rest == 1 ? 1 : rest == 2 || rest == 4 ? 2 : 3;
      if (taken == 3)
        tile_rows<3>(part, panel, right_stride, rows, here, more, place, to_stride);
      else if (taken == 2)
        tile_rows<2>(part, panel, right_stride, rows, here, more, place, to_stride);
      else
        tile_rows<1>(part, panel, right_stride, rows, here, more, place, to_stride);
      rest -= taken;
      panel += taken * kLanes;
      place += taken * kLanes;
    }
  }
}

// float64: right, not fast.
DGF_OUT_OF_LINE void product(const Left<double>& left, const double* right, int64_t right_stride, int64_t rows,
                             int64_t vectors, int64_t depth, bool add, double* to, int64_t to_stride) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < vectors * kLanes; c += kLanes) {
      Doubles sum(0.0);
      if (add) load_vector(to + r * to_stride + c, sum);
      for (int64_t k = 0; k < depth; ++k) {
        Doubles b;
        load_vector(right + k * right_stride + c, b);
        sum = fma(Doubles(left.data[r * left.row_stride + k * left.depth_stride]), b, sum);
      }
      store_vector(sum, to + r * to_stride + c);
    }
}
