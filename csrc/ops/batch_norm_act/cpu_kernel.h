// Batch normalization with an activation: statistics, forward, and the two passes of backward.
// Included once per instruction set, see cpu/instruction_set.h.

// A channel's parameters beside the elements of a row: one an element, or the same 16 all along.
template <class A>
struct Parameter {
  const A* first;
  int64_t along;  // all ones, or zero
  __attribute__((always_inline)) Parameter(const void* array, const ChannelRows& rows, const Segment& s)
      : first((const A*)array + s.parameter), along(rows.channels_last ? -1 : 0) {}
  __attribute__((always_inline)) const A* at(int64_t column) const { return first + (column & along); }
};

// The rows of a segment, each as (first element, number of elements).
template <class F>
DGF_INLINE void each_row(const ChannelRows& rows, const Segment& s, F body) {
  const int64_t width = rows.channels_last ? rows.width : s.end - s.begin;
  for (int64_t row = s.begin; row < s.end; row += width) body(row, row + width < s.end ? width : s.end - row);
}

// Calls strip(element, column, count, extent) for `count` vectors, one after the other, that go into the same 16 sums:
// all of a plane, or one of a channels-last row. (Taking a column of several such rows at once would spare fetching the
// sums, but memory that is not read in order comes three times slower.)
template <class F>
DGF_INLINE void each_strip(const ChannelRows& rows, const Segment& s, F strip) {
  if (rows.channels_last) {
    each_row(rows, s, [&](int64_t row, int64_t columns) DGF_LAMBDA_INLINE {
      each_column(0, columns,
                  [&](int64_t column, Extent extent) DGF_LAMBDA_INLINE { strip(row + column, column, 1, extent); });
    });
    return;
  }
  const int64_t whole = (s.end - s.begin) / kLanes, rest = (s.end - s.begin) % kLanes;
  if (whole) strip(s.begin, 0, whole, Extent{kLanes});
  if (rest) strip(s.end - rest, 0, 1, Extent{(int)rest});
}

template <class T>
void moment_sums(const ChannelRows& rows, const void* input, const double* pivots, const Segment& s,
                 const ChannelSums& sums) {
  const Parameter<double> pivot_of(pivots, rows, s);
  each_strip(rows, s, [&](int64_t element, int64_t column, int64_t count, Extent extent) DGF_LAMBDA_INLINE {
    const T* x = (const T*)input + element;
    const DoubleLanes pivot = load_doubles(pivot_of.at(column));
    DoubleLanes sum = load_doubles(sums.first + column), squares = load_doubles(sums.second + column);
    for (int64_t i = 0; i < count; ++i, x += kLanes) {
      const DoubleLanes offset = keep(load_as_doubles(x, extent) - pivot, extent);
      sum = sum + offset;
      squares = fma(offset, offset, squares);
    }
    store_doubles(sum, sums.first + column);
    store_doubles(squares, sums.second + column);
  });
}

template <class T, int activation>
void forward_rows(const BatchNormArguments& a, const Segment& s) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type A;
  const V slope((A)a.negative_slope);
  const Parameter<A> mean(a.mean, a.rows, s), scale(a.scale, a.rows, s), bias(a.bias, a.rows, s);
  each_row(a.rows, s, [&](int64_t row, int64_t columns) DGF_LAMBDA_INLINE {
    const T* input = (const T*)a.input + row;
    T* output = (T*)a.output + row;
    each_column(0, columns, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      const Extent all{kLanes};
      const V argument = batch_norm_argument(load<V>(input + at, extent), load<V>(mean.at(at), all),
                                             load<V>(scale.at(at), all), load<V>(bias.at(at), all));
      store(activate<activation>(argument, slope), output + at, extent);
    });
  });
}

template <class T, int activation>
void backward_sums_strips(const BatchNormArguments& a, const Segment& s, const ChannelSums& sums) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type A;
  const V slope((A)a.negative_slope);
  const Parameter<A> mean_of(a.mean, a.rows, s), scale_of(a.scale, a.rows, s), bias_of(a.bias, a.rows, s);
  each_strip(a.rows, s, [&](int64_t element, int64_t column, int64_t count, Extent extent) DGF_LAMBDA_INLINE {
    const T* x = (const T*)a.input + element;
    const T* grad = (const T*)a.grad_output + element;
    const Extent all{kLanes};
    const V mean = load<V>(mean_of.at(column), all), scale = load<V>(scale_of.at(column), all),
            bias = load<V>(bias_of.at(column), all);
    const DoubleLanes double_mean = to_doubles(mean);
    DoubleLanes sum = load_doubles(sums.first + column), product = load_doubles(sums.second + column);
    for (int64_t i = 0; i < count; ++i, x += kLanes, grad += kLanes) {
      const V argument = batch_norm_argument(load<V>(x, extent), mean, scale, bias);
      const V g = activation_gradient<activation>(load<V>(grad, extent), argument, slope);
      const DoubleLanes wide = keep(to_doubles(g), extent);
      sum = sum + wide;
      product = fma(wide, keep(load_as_doubles(x, extent) - double_mean, extent), product);
    }
    store_doubles(sum, sums.first + column);
    store_doubles(product, sums.second + column);
  });
}

template <class T, int activation>
void backward_rows(const BatchNormArguments& a, const Segment& s) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type A;
  const V slope((A)a.negative_slope);
  const bool training = a.grad_mean != nullptr;
  const Parameter<A> mean_of(a.mean, a.rows, s), scale_of(a.scale, a.rows, s), bias_of(a.bias, a.rows, s);
  const Parameter<A> grad_mean(training ? a.grad_mean : a.mean, a.rows, s),
      projection(training ? a.projection : a.mean, a.rows, s);
  each_row(a.rows, s, [&](int64_t row, int64_t columns) DGF_LAMBDA_INLINE {
    const T* input = (const T*)a.input + row;
    const T* grad_output = (const T*)a.grad_output + row;
    T* grad_input = (T*)a.output + row;
    each_column(0, columns, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      const Extent all{kLanes};
      const V x = load<V>(input + at, extent), mean = load<V>(mean_of.at(at), all),
              scale = load<V>(scale_of.at(at), all);
      const V argument = batch_norm_argument(x, mean, scale, load<V>(bias_of.at(at), all));
      const V g = activation_gradient<activation>(load<V>(grad_output + at, extent), argument, slope);
      const V grad = training ? batch_norm_input_gradient(g, x, mean, scale, load<V>(grad_mean.at(at), all),
                                                          load<V>(projection.at(at), all))
                              : g * scale;
      store(grad, grad_input + at, extent);
    });
  });
}

// The same body for each activation, chosen by its number.
#define DGF_BY_ACTIVATION(body, ...)                          \
  switch (a.activation) {                                     \
    case kRelu: return body<T, kRelu>(__VA_ARGS__);           \
    case kLeakyRelu: return body<T, kLeakyRelu>(__VA_ARGS__); \
    case kTanh: return body<T, kTanh>(__VA_ARGS__);           \
    case kSigmoid: return body<T, kSigmoid>(__VA_ARGS__);     \
    default: return body<T, kNoActivation>(__VA_ARGS__);      \
  }
template <class T>
void forward_any(const BatchNormArguments& a, const Segment& s) {
  DGF_BY_ACTIVATION(forward_rows, a, s)
}
template <class T>
void backward_sums_any(const BatchNormArguments& a, const Segment& s, const ChannelSums& sums) {
  DGF_BY_ACTIVATION(backward_sums_strips, a, s, sums)
}
template <class T>
void backward_any(const BatchNormArguments& a, const Segment& s) {
  DGF_BY_ACTIVATION(backward_rows, a, s)
}
#undef DGF_BY_ACTIVATION

static const BatchNormKernels kTable = {
    DGF_SET_NAME,
    {moment_sums<float>, moment_sums<double>, moment_sums<BFloat16>, moment_sums<Half>},
    {forward_any<float>, forward_any<double>, forward_any<BFloat16>, forward_any<Half>},
    {backward_sums_any<float>, backward_sums_any<double>, backward_sums_any<BFloat16>, backward_sums_any<Half>},
    {backward_any<float>, backward_any<double>, backward_any<BFloat16>, backward_any<Half>},
};
