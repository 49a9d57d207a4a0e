// Gaussian log-likelihood over rows: values, gradients, or both in one pass over memory.
// Included once per instruction set, see cpu/instruction_set.h.

// What is known of a call when its loop is compiled: nothing, or that it is plain (lanes.h) and where variances are.
enum class GaussianCall : int { kAny, kPlainUnit, kPlainPerPixel };

template <class T, bool kValue, bool kGradient, GaussianCall kCall>
void gaussian_walk(const LikelihoodArguments& a, const Span& s) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type Accumulate;
  // Options that a plain call leaves out are constants there, and their branches are gone.
  constexpr bool kPlain = kCall != GaussianCall::kAny;
  constexpr bool kPlainGradient = kPlain && kGradient, kPerPixel = kCall == GaussianCall::kPlainPerPixel;
  const int64_t columns = a.columns;
  const TargetKind kind = kPlain ? TargetKind::kSame : a.target.kind;
  const bool shared = !kPlain && a.logvar_scalar;
  const bool per_pixel = kPlain ? kPerPixel : a.logvar.data && !shared;
  const bool grad_elementwise = !kPlain && a.grad_elementwise;
  const bool has_mask = !kPlain && a.mask.data;
  Accumulate* const values = kPlain ? nullptr : (Accumulate*)a.values;
  T* const grad_output = (T*)a.grad_output;
  T* const grad_logvar = (T*)a.grad_logvar;
  const bool wide_logvar = sizeof(T) < sizeof(Accumulate) && a.grad_logvar_wide;
  Accumulate* const grad_target = kPlain ? nullptr : (Accumulate*)a.grad_target;
  const V shared_logvar = shared ? broadcast_element<V>((const T*)a.logvar.data) : V(0.0f);
  const Factors<V> unit{V(1.0f), V(1.0f)}, shared_precision = shared ? gaussian_precision(shared_logvar) : unit;
  for (int64_t row = s.row_begin; row < s.row_end; ++row) {
    const int64_t start = row * columns;
    const T* means = (const T*)a.output + start;
    const int64_t target_start = row % a.target.rows * columns;
    const T* logvars = per_pixel ? (const T*)a.logvar.data + row % a.logvar.rows * columns : nullptr;
    const uint8_t* mask = has_mask ? (const uint8_t*)a.mask.data + row % a.mask.rows * columns : nullptr;
    const V row_grad(kGradient ? row_gradient<Accumulate>(a, row) : Accumulate(0));
    LaneSums shared_grad;
    auto body = [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      const V offset = load_target<T>(a.target, kind, target_start + at, extent) - load<V>(means + at, extent);
      const V logvar = per_pixel ? load<V>(logvars + at, extent) : shared_logvar;
      const Factors<V> precision = per_pixel ? gaussian_precision(logvar) : shared_precision;
      V value(0.0f);
      if (kValue) {
        value = kPlain && !kPerPixel ? gaussian_unit_value(offset) : gaussian_value(offset, precision, logvar);
        if (has_mask) value = apply_mask(value, mask + at, extent);
        if (values) store(value, values + start + at, extent);
      }
      if (kGradient) {
        V grad = grad_elementwise ? load<V>((const Accumulate*)a.grad + start + at, extent) : row_grad;
        V slope = weighted(grad, gaussian_mean_slope(offset, precision));
        V logvar_slope = weighted(grad, gaussian_logvar_slope(offset, precision));
        if (has_mask) {
          slope = apply_mask(slope, mask + at, extent);
          logvar_slope = apply_mask(logvar_slope, mask + at, extent);
        }
        if (kPlainGradient || grad_output) store(slope, grad_output + start + at, extent);
        if (grad_target) store(-slope, grad_target + start + at, extent);
        if (shared && grad_logvar) add_lanes(keep(logvar_slope, extent), shared_grad);
        if (kPlainGradient ? kPerPixel : !shared && grad_logvar) {
          if (wide_logvar)
            store(logvar_slope, (Accumulate*)a.grad_logvar + start + at, extent);
          else
            store(logvar_slope, grad_logvar + start + at, extent);
        }
      }
      return value;
    };
    if (kValue)
      s.partial[row * s.chunks + s.chunk] = sum_columns<V>(s.column_begin, s.column_end, body);
    else
      each_column(s.column_begin, s.column_end, body);
    if (kGradient && shared && grad_logvar) ((double*)a.grad_logvar)[row * s.chunks + s.chunk] = sum_lanes(shared_grad);
  }
}

template <class T, bool kValue, bool kGradient>
void gaussian_rows(const LikelihoodArguments& a, const Span& s) {
  if constexpr (sizeof(T) == sizeof(float))
    if (plain_call(a) && !a.logvar_scalar && (!kGradient || (a.grad_output && !a.grad_logvar == !a.logvar.data)))
      return a.logvar.data ? gaussian_walk<T, kValue, kGradient, GaussianCall::kPlainPerPixel>(a, s)
                           : gaussian_walk<T, kValue, kGradient, GaussianCall::kPlainUnit>(a, s);
  gaussian_walk<T, kValue, kGradient, GaussianCall::kAny>(a, s);
}

static const LikelihoodKernels kTable = {
    DGF_SET_NAME,
    {gaussian_rows<float, true, false>, gaussian_rows<double, true, false>, gaussian_rows<BFloat16, true, false>,
     gaussian_rows<Half, true, false>},
    {gaussian_rows<float, false, true>, gaussian_rows<double, false, true>, gaussian_rows<BFloat16, false, true>,
     gaussian_rows<Half, false, true>},
    {gaussian_rows<float, true, true>, gaussian_rows<double, true, true>, gaussian_rows<BFloat16, true, true>,
     gaussian_rows<Half, true, true>},
};
