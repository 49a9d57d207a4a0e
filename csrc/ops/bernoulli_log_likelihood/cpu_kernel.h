// Bernoulli log-likelihood over rows: values, gradients, or both in one pass over memory.
// Included once per instruction set, see csrc/cpu.

template <class T, bool kValue, bool kGradient>
void bernoulli_rows(const LikelihoodArguments& a, const Span& s) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type Accumulate;
  const int64_t columns = a.columns;
  for (int64_t row = s.row_begin; row < s.row_end; ++row) {
    const int64_t start = row * columns;
    const T* logits = (const T*)a.output + start;
    const int64_t target_start = row % a.target.rows * columns;
    const uint8_t* mask = a.mask.data ? (const uint8_t*)a.mask.data + row % a.mask.rows * columns : nullptr;
    const V row_grad(kGradient ? row_gradient<Accumulate>(a, row) : Accumulate(0));
    auto body = [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      const V logit = load<V>(logits + at, extent);
      const V target = load_target<T>(a.target, target_start + at, extent);
      const V decay = bernoulli_decay(logit);
      V value(0.0f);
      if (kValue) {
        value = bernoulli_value(logit, target, decay);
        if (mask) value = apply_mask(value, mask + at, extent);
        if (a.values) store(value, (Accumulate*)a.values + start + at, extent);
      }
      if (kGradient) {
        const V grad = a.grad_elementwise ? load<V>((const Accumulate*)a.grad + start + at, extent) : row_grad;
        if (a.grad_output) {
          V slope = grad * bernoulli_logit_slope(logit, target, decay);
          if (mask) slope = apply_mask(slope, mask + at, extent);
          store(slope, (T*)a.grad_output + start + at, extent);
        }
        if (a.grad_target) {
          V slope = grad * logit;
          if (mask) slope = apply_mask(slope, mask + at, extent);
          store(slope, (Accumulate*)a.grad_target + start + at, extent);
        }
      }
      return value;
    };
    if (kValue)
      s.partial[row * s.chunks + s.chunk] = sum_columns<V>(s.column_begin, s.column_end, body);
    else
      each_column(s.column_begin, s.column_end, body);
  }
}
