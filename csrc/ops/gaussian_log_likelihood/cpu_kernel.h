// Gaussian log-likelihood over rows: values, gradients, or both in one pass over memory.
// Included once per instruction set, see csrc/cpu.

template <class T, bool kValue, bool kGradient>
void gaussian_rows(const LikelihoodArguments& a, const Span& s) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type Accumulate;
  const int64_t columns = a.columns;
  const V shared_logvar = a.logvar_scalar ? broadcast_element<V>((const T*)a.logvar.data) : V(0.0f);
  const V shared_precision = a.logvar_scalar ? gaussian_precision(shared_logvar) : V(1.0f);
  for (int64_t row = s.row_begin; row < s.row_end; ++row) {
    const int64_t start = row * columns;
    const T* means = (const T*)a.output + start;
    const int64_t target_start = row % a.target.rows * columns;
    const bool full_logvar = a.logvar.data && !a.logvar_scalar;
    const T* logvars = full_logvar ? (const T*)a.logvar.data + row % a.logvar.rows * columns : nullptr;
    const uint8_t* mask = a.mask.data ? (const uint8_t*)a.mask.data + row % a.mask.rows * columns : nullptr;
    const V row_grad(kGradient ? row_gradient<Accumulate>(a, row) : Accumulate(0));
    double logvar_grad[kLanes] = {};
    auto body = [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      const V offset = load_target<T>(a.target, target_start + at, extent) - load<V>(means + at, extent);
      const V logvar = logvars ? load<V>(logvars + at, extent) : shared_logvar;
      const V precision = logvars ? gaussian_precision(logvar) : shared_precision;
      const V scaled = offset * precision;
      V value(0.0f);
      if (kValue) {
        value = gaussian_value(offset, scaled, logvar);
        if (mask) value = apply_mask(value, mask + at, extent);
        if (a.values) store(value, (Accumulate*)a.values + start + at, extent);
      }
      if (kGradient) {
        V grad = a.grad_elementwise ? load<V>((const Accumulate*)a.grad + start + at, extent) : row_grad;
        V slope = grad * scaled;
        V logvar_slope = grad * gaussian_logvar_slope(offset, scaled);
        if (mask) {
          slope = apply_mask(slope, mask + at, extent);
          logvar_slope = apply_mask(logvar_slope, mask + at, extent);
        }
        if (a.grad_output) store(slope, (T*)a.grad_output + start + at, extent);
        if (a.grad_target) store(-slope, (Accumulate*)a.grad_target + start + at, extent);
        if (a.grad_logvar) {
          if (a.logvar_scalar)
            add_lanes(keep(logvar_slope, extent), logvar_grad);
          else
            store(logvar_slope, (T*)a.grad_logvar + start + at, extent);
        }
      }
      return value;
    };
    if (kValue)
      s.partial[row * s.chunks + s.chunk] = sum_columns<V>(s.column_begin, s.column_end, body);
    else
      each_column(s.column_begin, s.column_end, body);
    if (kGradient && a.grad_logvar && a.logvar_scalar)
      ((double*)a.grad_logvar)[row * s.chunks + s.chunk] = sum_lanes(logvar_grad);
  }
}
