// Minibatch discrimination, 16 kernels in the lanes of a vector. Each pair of examples is visited once: its distance
// and its similarity serve both. Included once per instruction set, see cpu/instruction_set.h.

// clang-format off: the order matters
#include "cpu/scratch.h"
// clang-format on

DGF_INLINE Floats turn_sign(const Floats& magnitude, const Floats& by) {
  return from_bits(bits(magnitude) ^ (bits(by) & Words(0x80000000u)));
}
DGF_OUT_OF_LINE Doubles turn_sign(const Doubles& magnitude, const Doubles& by) {
  Doubles r;
  for (int i = 0; i < kLanes; ++i) r.lane[i] = dgf::turn_sign(magnitude.lane[i], by.lane[i]);
  return r;
}

template <class V, class A>
DGF_INLINE V lanes_at(const A* from) {
  return load<V>(from, Extent{kLanes});
}
template <class V, class A>
DGF_INLINE void set_lanes(const V& x, A* to) {
  store(x, to, Extent{kLanes});
}

// Distances of one example, [dims][16], to kCount that follow each other. Two chains for each fill the pipelines, and
// halve the rounding error.
template <class V, int kCount, class A>
DGF_INLINE void distances(const A* one, const A* others, int64_t dims, V (&distance)[kCount]) {
  const int64_t stride = dims * kLanes;
  V odd[kCount];
#pragma GCC unroll 8
  for (int n = 0; n < kCount; ++n) distance[n] = odd[n] = V(0);
  int64_t c = 0;
#pragma GCC unroll 1
  for (; c + 2 <= dims; c += 2) {
    const V even_value = lanes_at<V>(one + c * kLanes), odd_value = lanes_at<V>(one + (c + 1) * kLanes);
    const A* other = others + c * kLanes;
#pragma GCC unroll 8
    for (int n = 0; n < kCount; ++n, other += stride) {
      distance[n] = distance[n] + distance_term(even_value, lanes_at<V>(other));
      odd[n] = odd[n] + distance_term(odd_value, lanes_at<V>(other + kLanes));
    }
  }
  if (c < dims) {
    const V value = lanes_at<V>(one + c * kLanes);
#pragma GCC unroll 8
    for (int n = 0; n < kCount; ++n)
      distance[n] = distance[n] + distance_term(value, lanes_at<V>(others + n * stride + c * kLanes));
  }
#pragma GCC unroll 8
  for (int n = 0; n < kCount; ++n) distance[n] = distance[n] + odd[n];
}

// Sums of the examples that a tile of pairs has, `vectors` of 16 lanes for each: short ones, in the type of the
// computation, which then go to double.
template <class A>
struct TileSums {
  int64_t stride;  // of an example
  Scratch<A> of_rows, of_columns;

  explicit TileSums(int64_t vectors)
      : stride(vectors * kLanes), of_rows(kTileRows * stride), of_columns(kTileColumns * stride) {}

  static void move(A* from, int64_t count, double* to) {
    for (int64_t i = 0; i < count; i += kLanes) {
      store_doubles(load_doubles(to + i) + load_as_doubles(from + i, Extent{kLanes}), to + i);
      set_lanes(Wide<A>(0), from + i);
    }
  }
};

// Walks the pairs i < j of one part of the tiles (rows of tiles part, part + parts, ...):
// pairs(Count, i, j, the sums of i, the sums of j) takes j .. j + Count - 1.
template <int kCount>
struct Count {
  static constexpr int value = kCount;
};
template <class A, class F>
DGF_INLINE void each_pair(int64_t batch, int64_t vectors, int64_t part, int64_t parts, double* sums, F pairs) {
  TileSums<A> tile(vectors);
  const int64_t stride = tile.stride;
  for (int64_t rows = part * kTileRows; rows < batch; rows += parts * kTileRows) {
    const int64_t rows_end = rows + kTileRows < batch ? rows + kTileRows : batch;
    for (int64_t columns = rows; columns < batch; columns += kTileColumns) {
      const int64_t columns_end = columns + kTileColumns < batch ? columns + kTileColumns : batch;
      for (int64_t i = rows; i < rows_end; ++i) {
        A* of_row = &tile.of_rows[(i - rows) * stride];
        int64_t j = i < columns ? columns : i + 1;
        for (; j + 4 <= columns_end; j += 4) pairs(Count<4>(), i, j, of_row, &tile.of_columns[(j - columns) * stride]);
        for (; j < columns_end; ++j) pairs(Count<1>(), i, j, of_row, &tile.of_columns[(j - columns) * stride]);
      }
      TileSums<A>::move(tile.of_rows.data, (rows_end - rows) * stride, sums + rows * stride);
      TileSums<A>::move(tile.of_columns.data, (columns_end - columns) * stride, sums + columns * stride);
    }
  }
}

// ---- sums ----

template <class T>
void similarities(const MinibatchArguments& a, const void* packed, int64_t part, int64_t parts, double* sums) {
  typedef typename AccumulateOf<T>::type A;
  typedef Wide<T> V;
  const int64_t dims = a.dims, stride = dims * kLanes;
  const A* examples = (const A*)packed;
  each_pair<A>(a.batch, 1, part, parts, sums,
               [&](auto count, int64_t i, int64_t j, A* of_row, A* of_columns) DGF_LAMBDA_INLINE {
                 constexpr int kCount = decltype(count)::value;
                 V values[kCount];
                 distances<V, kCount>(examples + i * stride, examples + j * stride, dims, values);
                 V row_sum = lanes_at<V>(of_row);
#pragma GCC unroll 8
                 for (int n = 0; n < kCount; ++n, of_columns += kLanes) {
                   const V value = similarity(values[n]);
                   row_sum = row_sum + value;
                   set_lanes(lanes_at<V>(of_columns) + value, of_columns);
                 }
                 set_lanes(row_sum, of_row);
               });
  if (!a.include_self) return;
  // An example's similarity to itself is 1, also where a feature is infinite: the difference would be NaN.
  for (int64_t i = part; i < a.batch; i += parts)
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[i * kLanes + lane] += 1.0;
}

// ---- gradients ----

// Pair (i, j) has the weight (grad_i + grad_j) similarity; it moves M_i by minus its sign in each dimension, M_j by
// plus.
template <class T>
void gradients(const MinibatchArguments& a, int64_t group, const void* packed, int64_t part, int64_t parts,
               double* sums) {
  typedef typename AccumulateOf<T>::type A;
  typedef Wide<T> V;
  const int64_t dims = a.dims, stride = dims * kLanes;
  const A* examples = (const A*)packed;
  const int64_t first = group * kLanes, left = a.kernels - first;
  const Extent extent{(int)(left < kLanes ? left : kLanes)};
  auto grad_of = [&](int64_t i) DGF_LAMBDA_INLINE { return load<V>((const A*)a.grad + i * a.kernels + first, extent); };
  each_pair<A>(a.batch, dims, part, parts, sums,
               [&](auto count, int64_t i, int64_t j, A* of_row, A* of_columns) DGF_LAMBDA_INLINE {
                 constexpr int kCount = decltype(count)::value;
                 const A *one = examples + i * stride, *others = examples + j * stride;
                 V weights[kCount];
                 distances<V, kCount>(one, others, dims, weights);
                 const V row_grad = grad_of(i);
#pragma GCC unroll 8
                 for (int n = 0; n < kCount; ++n) weights[n] = (row_grad + grad_of(j + n)) * similarity(weights[n]);
#pragma GCC unroll 1
                 for (int64_t c = 0; c < stride; c += kLanes) {
                   const V value = lanes_at<V>(one + c);
                   V row_sum = lanes_at<V>(of_row + c);
#pragma GCC unroll 8
                   for (int n = 0; n < kCount; ++n) {
                     const V slope = similarity_slope(weights[n], value, lanes_at<V>(others + n * stride + c));
                     A* of_column = of_columns + n * stride + c;
                     row_sum = row_sum - slope;
                     set_lanes(lanes_at<V>(of_column) + slope, of_column);
                   }
                   set_lanes(row_sum, of_row + c);
                 }
               });
}

// ---- layout ----

template <class T>
void pack_examples(const MinibatchArguments& a, int64_t group, int64_t begin, int64_t end, void* packed) {
  typedef typename AccumulateOf<T>::type A;
  const int64_t first = group * kLanes, left = a.kernels - first, count = left < kLanes ? left : kLanes;
  Scratch<A> line(kLanes * a.dims + 1);
  for (int64_t i = begin; i < end; ++i) {
    const T* from = (const T*)a.features + (i * a.kernels + first) * a.dims;
    A* to = (A*)packed + i * a.dims * kLanes;
    each_column(0, count * a.dims, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      store(load<Wide<T>>(from + at, extent), &line[at], extent);
    });
    for (int64_t c = 0; c < a.dims; ++c)
      for (int64_t lane = 0; lane < kLanes; ++lane) to[c * kLanes + lane] = line[lane * a.dims + c];
  }
}

template <class T>
void unpack_gradients(const MinibatchArguments& a, int64_t group, const double* sums, int64_t parts,
                      void* grad_features) {
  typedef typename AccumulateOf<T>::type A;
  const int64_t first = group * kLanes, left = a.kernels - first, count = left < kLanes ? left : kLanes;
  const int64_t stride = a.dims * kLanes;
  Scratch<A> line(stride + 1);
  for (int64_t i = 0; i < a.batch; ++i) {
    for (int64_t c = 0; c < a.dims; ++c)
      for (int64_t lane = 0; lane < count; ++lane) {
        double sum = 0.0;
        for (int64_t part = 0; part < parts; ++part) sum += sums[(part * a.batch + i) * stride + c * kLanes + lane];
        line[lane * a.dims + c] = (A)sum;
      }
    T* to = (T*)grad_features + (i * a.kernels + first) * a.dims;
    each_column(0, count * a.dims, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      store(load<Wide<T>>(&line[at], extent), to + at, extent);
    });
  }
}

static const MinibatchKernels kTable = {
    DGF_SET_NAME,
    {pack_examples<float>, pack_examples<double>, pack_examples<BFloat16>, pack_examples<Half>},
    {similarities<float>, similarities<double>, similarities<BFloat16>, similarities<Half>},
    {gradients<float>, gradients<double>, gradients<BFloat16>, gradients<Half>},
    {unpack_gradients<float>, unpack_gradients<double>, unpack_gradients<BFloat16>, unpack_gradients<Half>},
};
