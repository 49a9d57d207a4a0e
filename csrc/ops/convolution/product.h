// The matrix product of the convolutions: register tiles of kRows x kPanel, the left operand broadcast, the right one
// in panels. A tile's elements are added up in the order of `depth`, for every instruction set and tile shape alike.
// `next` is what the next tile reads: it comes from a larger cache while this one is multiplied.
// Included once per instruction set, inside its namespace.

// Rows and vectors of a register tile: accumulators, one row of the right operand and a broadcast fill the registers.
template <class V>
struct RegisterTile {
#if DGF_VECTOR_BYTES == 64
  static constexpr int kRows = 12, kVectors = 2;
#else
  static constexpr int kRows = 6, kVectors = 1;
#endif
};
template <>
struct RegisterTile<Doubles> {
  static constexpr int kRows = 4, kVectors = 1;
};

DGF_INLINE Floats repeat(float x) {
  Floats r;
  // Not NativeFloat{} + x, which is an addition: -0 + 0 is 0.
  DGF_EACH_PART(r.part[p] = x - NativeFloat{})
  return r;
}
DGF_INLINE Doubles repeat(double x) { return Doubles(x); }

// Lines that will be written (or read) soon, one in each of `count` planes: stores to lines that are not in the cache
// wait for them one after the other, these come side by side.
template <int count, class S>
DGF_INLINE void expect_stores(S* to, int64_t stride) {
#pragma GCC unroll 36
  for (int i = 0; i < count; ++i) __builtin_prefetch(to + i * stride, 1);
}
template <int count, class S>
DGF_INLINE void expect_loads(const S* from, int64_t stride) {
#pragma GCC unroll 36
  for (int i = 0; i < count; ++i) __builtin_prefetch(from + i * stride);
}

struct LeftOperand {
  int64_t row_stride, depth_stride;
};

template <class V, class S, int kRows, bool kAdd>
static void multiply_rows(const S* left, LeftOperand stride, const S* right, int64_t depth, S* product, const S* next) {
  constexpr int kVectors = RegisterTile<V>::kVectors, kPanel = kVectors * kLanes;
  constexpr int64_t kLine = 64 / sizeof(S);
#pragma GCC unroll 24
  for (int i = 0; i < kRows * kPanel; i += kLine) __builtin_prefetch(product + i, 1);
  V sum[kRows][kVectors];
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[i][j] = V(0.0);
#pragma GCC unroll 1
  for (int64_t k = 0; k < depth; ++k) {
    V row[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) load_vector(right + k * kPanel + j * kLanes, row[j]);
    const S* column = left + k * stride.depth_stride;
    __builtin_prefetch(next + k * kLine);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const V factor = repeat(column[i * stride.row_stride]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[i][j] = fma(factor, row[j], sum[i][j]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      S* at = product + i * kPanel + j * kLanes;
      if (kAdd) {
        V before;
        load_vector(at, before);
        sum[i][j] = before + sum[i][j];
      }
      store_vector(sum[i][j], at);
    }
}

template <class S>
using MultiplyRows = void (*)(const S*, LeftOperand, const S*, int64_t, S*, const S*);

// The product of one register tile with `rows` rows, at most kRows; `add` to what is there.
template <class V, class S, bool kAdd>
static MultiplyRows<S> multiply_for(int64_t rows) {
  if constexpr (RegisterTile<V>::kRows == 12) switch (rows) {
      case 12: return multiply_rows<V, S, 12, kAdd>;
      case 11: return multiply_rows<V, S, 11, kAdd>;
      case 10: return multiply_rows<V, S, 10, kAdd>;
      case 9: return multiply_rows<V, S, 9, kAdd>;
      case 8: return multiply_rows<V, S, 8, kAdd>;
      case 7: return multiply_rows<V, S, 7, kAdd>;
      default: break;
    }
  if constexpr (RegisterTile<V>::kRows >= 6) switch (rows) {
      case 6: return multiply_rows<V, S, 6, kAdd>;
      case 5: return multiply_rows<V, S, 5, kAdd>;
      default: break;
    }
  switch (rows) {
    case 4: return multiply_rows<V, S, 4, kAdd>;
    case 3: return multiply_rows<V, S, 3, kAdd>;
    case 2: return multiply_rows<V, S, 2, kAdd>;
    default: return multiply_rows<V, S, 1, kAdd>;
  }
}

// Rows spread evenly over as few register tiles as hold them, so that none is left with one or two rows.
template <class V>
struct RowGroups {
  int64_t count, rows;
  explicit RowGroups(int64_t total) {
    constexpr int64_t kRows = RegisterTile<V>::kRows;
    count = (total + kRows - 1) / kRows;
    rows = count ? (total + count - 1) / count : 0;
    count = rows ? (total + rows - 1) / rows : 0;
  }
  int64_t size(int64_t group, int64_t total) const { return group + 1 < count ? rows : total - group * rows; }
};
