// Bernoulli log-likelihood over rows: values, gradients, or both in one pass over memory.
// Included once per instruction set, see cpu/instruction_set.h.

// The sum of some vectors of bernoulli_value. The logarithms log(1 + decay) are that of one product, a multiply-add a
// vector in place of a polynomial. The product lacks 1, so that decays far below 1 keep their accuracy.
template <class V>
struct BernoulliBlock {
  static constexpr int kVectors = 16;
  V linear, product;
  __attribute__((always_inline)) BernoulliBlock() : linear(0.0f), product(0.0f) {}
  __attribute__((always_inline)) void add(const V& logit, const V& target, const V& decay) {
    linear = linear + bernoulli_linear(logit, target);
    product = fma(product, decay, product + decay);
  }
  __attribute__((always_inline)) V sum() const { return linear - log1p_positive(product); }
};

template <class T, bool kValue, bool kGradient, bool kPlain>
void bernoulli_walk(const LikelihoodArguments& a, const Span& s) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type Accumulate;
  typedef BernoulliBlock<V> Block;
  // Options that a plain call leaves out are constants there, and their branches are gone.
  const int64_t columns = a.columns;
  const TargetKind kind = kPlain ? TargetKind::kSame : a.target.kind;
  const bool has_mask = !kPlain && a.mask.data;
  const bool grad_elementwise = !kPlain && a.grad_elementwise;
  Accumulate* const values = kPlain ? nullptr : (Accumulate*)a.values;
  T* const grad_output = (T*)a.grad_output;
  Accumulate* const grad_target = kPlain ? nullptr : (Accumulate*)a.grad_target;
  for (int64_t row = s.row_begin; row < s.row_end; ++row) {
    const int64_t start = row * columns;
    const T* logits = (const T*)a.output + start;
    const int64_t target_start = row % a.target.rows * columns;
    const uint8_t* mask = has_mask ? (const uint8_t*)a.mask.data + row % a.mask.rows * columns : nullptr;
    const V row_grad(kGradient ? row_gradient<Accumulate>(a, row) : Accumulate(0));
    auto gradients = [&](V logit, V target, V decay, int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      const V grad = grad_elementwise ? load<V>((const Accumulate*)a.grad + start + at, extent) : row_grad;
      if (kPlain || grad_output) {
        V slope = weighted(grad, bernoulli_logit_slope(logit, target, decay));
        if (has_mask) slope = apply_mask(slope, mask + at, extent);
        store(slope, grad_output + start + at, extent);
      }
      if (grad_target) {
        V slope = weighted(grad, logit);
        if (has_mask) slope = apply_mask(slope, mask + at, extent);
        store(slope, grad_target + start + at, extent);
      }
    };
    auto body = [&](Block& block, int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      V logit = load<V>(logits + at, extent);
      V target = load_target<T>(a.target, kind, target_start + at, extent);
      V decay = bernoulli_decay(logit);
      if (kGradient) gradients(logit, target, decay, at, extent);
      if (values) {
        V value = bernoulli_value(logit, target, decay);
        if (has_mask) value = apply_mask(value, mask + at, extent);
        store(value, values + start + at, extent);
      }
      if (kValue) {
        if (has_mask) {  // a logit of 0 with no decay: log 1
          logit = apply_mask(logit, mask + at, extent);
          target = apply_mask(target, mask + at, extent);
          decay = apply_mask(decay, mask + at, extent);
        }
        block.add(logit, target, decay);
      }
    };
    if (kValue)
      s.partial[row * s.chunks + s.chunk] = sum_blocks<Block>(s.column_begin, s.column_end, body);
    else
      each_column(s.column_begin, s.column_end, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
        Block unused;
        body(unused, at, extent);
      });
  }
}

template <class T, bool kValue, bool kGradient>
void bernoulli_rows(const LikelihoodArguments& a, const Span& s) {
  if constexpr (sizeof(T) == sizeof(float))
    if (plain_call(a) && (!kGradient || a.grad_output)) return bernoulli_walk<T, kValue, kGradient, true>(a, s);
  bernoulli_walk<T, kValue, kGradient, false>(a, s);
}

static const LikelihoodKernels kTable = {
    DGF_SET_NAME,
    {bernoulli_rows<float, true, false>, bernoulli_rows<double, true, false>, bernoulli_rows<BFloat16, true, false>,
     bernoulli_rows<Half, true, false>},
    {bernoulli_rows<float, false, true>, bernoulli_rows<double, false, true>, bernoulli_rows<BFloat16, false, true>,
     bernoulli_rows<Half, false, true>},
    {bernoulli_rows<float, true, true>, bernoulli_rows<double, true, true>, bernoulli_rows<BFloat16, true, true>,
     bernoulli_rows<Half, true, true>},
};
