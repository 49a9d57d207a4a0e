// Reparameterization and KL over rows: z and KL, their gradients, or KL with its gradients in one pass.
// Included once per instruction set, see cpu/instruction_set.h. A span's rows are examples; samples are walked inside.
#include "cpu/noise.h"

// Noise in cache: 4096 floats, enough rows (or enough of one long row) to amortize the per-tile work.
constexpr int64_t kNoiseTile = 4096;
// Columns whose sums over samples are held while the samples go by: one lane-block of counters.
constexpr int64_t kSampleTile = 4 * kLanes;

// Calls body(row, column_begin, column_end, noise) over tiles of the span, with noise[column - column_begin] the noise
// of that row in `sample`; noise is null when the caller brings its own tensor.
template <class F>
static inline void each_noise_tile(const PosteriorArguments& a, const Span& s, int64_t sample, F body) {
  alignas(64) float tile[kNoiseTile + 4 * kLanes];
  const int64_t groups = (a.columns + 3) / 4, stride = groups * 4;
  // Several whole rows a tile, or a row in several tiles.
  const bool whole_rows = s.chunks == 1 && (a.noise || stride <= kNoiseTile);
  const int64_t rows = whole_rows && !a.noise ? kNoiseTile / stride : 1;
  const int64_t width = whole_rows ? a.columns : kNoiseTile;
  for (int64_t row = s.row_begin; row < s.row_end; row += rows) {
    const int64_t row_end = row + rows < s.row_end ? row + rows : s.row_end;
    for (int64_t begin = s.column_begin; begin < s.column_end; begin += width) {
      const int64_t end = begin + width < s.column_end ? begin + width : s.column_end;
      const int64_t count = whole_rows ? (row_end - row) * groups : (end - begin + 3) / 4;
      if (!a.noise) fill_noise(a.seed, sample, row, begin / 4, groups, count, tile);
      for (int64_t r = row; r < row_end; ++r) body(r, begin, end, a.noise ? nullptr : tile + (r - row) * stride);
    }
  }
}

// The noise of 16 columns, from the tile or from the caller's tensor.
template <class T>
DGF_INLINE Wide<T> load_noise(const PosteriorArguments& a, const float* tile, int64_t begin, int64_t at,
                              int64_t noise_start, Extent extent) {
  // A tile has room past the row's end, so it is always read whole.
  if (tile) return load<Wide<T>>(tile + (at - begin), Extent{kLanes});
  return load<Wide<T>>((const T*)a.noise + noise_start + at, extent);
}

template <class T>
struct PriorRows {
  const T* mean;
  const T* logvar;
  PriorRows(const PosteriorArguments& a, int64_t row)
      : mean(a.prior_mean.data ? (const T*)a.prior_mean.data + row % a.prior_mean.rows * a.columns : nullptr),
        logvar(a.prior_logvar.data ? (const T*)a.prior_logvar.data + row % a.prior_logvar.rows * a.columns : nullptr) {}
  bool given() const { return mean || logvar; }
};

template <class T, int kind>
DGF_INLINE Wide<T> kl_element(Wide<T> mean, Wide<T> scale, const PriorRows<T>& prior, int64_t at, Extent extent) {
  typedef Wide<T> V;
  const Scale<V> q = expand_scale<kind>(scale);
  if (!prior.given()) return kl_standard(mean, q);
  return kl_prior<kind>(mean, q, prior.mean ? load<V>(prior.mean + at, extent) : V(0.0f),
                        prior.logvar ? load<V>(prior.logvar + at, extent) : V(0.0f));
}

template <class T, int kind>
void reparameterize_kl_rows(const PosteriorArguments& a, const Span& s) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type Accumulate;
  const T* means = (const T*)a.mean;
  const T* scales = (const T*)a.scale;
  for (int64_t sample = 0; sample < a.samples; ++sample) {
    const int64_t sample_start = sample * a.batch * a.columns;
    if (sample == 0)
      for (int64_t row = s.row_begin; row < s.row_end; ++row) s.partial[row * s.chunks + s.chunk] = 0.0;
    each_noise_tile(a, s, sample, [&](int64_t row, int64_t begin, int64_t end, const float* tile) DGF_LAMBDA_INLINE {
      const int64_t start = row * a.columns;
      const PriorRows<T> prior(a, row);
      auto sample_z = [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
        const V mean = load<V>(means + start + at, extent), scale = load<V>(scales + start + at, extent);
        const V noise = load_noise<T>(a, tile, begin, at, sample_start + start, extent);
        const V z = reparameterize(mean, standard_deviation<kind>(scale), scale, noise);
        store(z, (T*)a.z + sample_start + start + at, extent);
      };
      if (sample > 0) return each_column(begin, end, sample_z);
      s.partial[row * s.chunks + s.chunk] +=
          sum_columns<V>(begin, end, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
            sample_z(at, extent);
            const V mean = load<V>(means + start + at, extent), scale = load<V>(scales + start + at, extent);
            const V kl = kl_element<T, kind>(mean, scale, prior, at, extent);
            if (a.kl_values) store(kl, (Accumulate*)a.kl_values + start + at, extent);
            return kl;
          });
    });
  }
}

template <class T, int kind>
void reparameterize_kl_backward_rows(const PosteriorArguments& a, const Span& s) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type Accumulate;
  const bool use_noise = a.grad_z != nullptr;
  const bool use_kl = a.grad_kl != nullptr;
  const int64_t sample_size = a.batch * a.columns;
  // Gradients of z and KL meet in one store. With several samples their sums over samples wait in these tiles.
  auto finish = [&](int64_t row, int64_t at, Extent extent, V grad_z, V grad_std) DGF_LAMBDA_INLINE {
    const int64_t start = row * a.columns;
    const V mean = load<V>((const T*)a.mean + start + at, extent);
    const V scale = load<V>((const T*)a.scale + start + at, extent);
    V grad_mean = grad_z, grad_scale = grad_std * std_slope<kind>(scale);
    if (use_kl) {
      const PriorRows<T> prior(a, row);
      const V grad = a.grad_kl_elementwise ? load<V>((const Accumulate*)a.grad_kl + start + at, extent)
                                           : broadcast_element<V>((const Accumulate*)a.grad_kl + row);
      const V prior_mean = prior.mean ? load<V>(prior.mean + at, extent) : V(0.0f);
      const V prior_logvar = prior.logvar ? load<V>(prior.logvar + at, extent) : V(0.0f);
      const Factors<V> unit{V(1.0f), V(1.0f)}, precision = prior.logvar ? prior_precision(prior_logvar) : unit;
      const V offset = mean - prior_mean, mean_slope = kl_mean_slope(offset, precision);
      grad_mean = add_weighted(grad_mean, grad, mean_slope);
      grad_scale = add_weighted(grad_scale, grad, kl_scale_slope<kind>(scale, prior_logvar, precision));
      if (a.grad_prior_mean) {
        const Scale<V> q = expand_scale<kind>(scale);
        const V ratio = variance_ratio<kind>(q.std, q.logvar, prior_logvar, precision);
        const V prior_slope = weighted(grad, kl_prior_logvar_slope(offset, ratio, precision));
        store(-weighted(grad, mean_slope), (Accumulate*)a.grad_prior_mean + start + at, extent);
        store(prior_slope, (Accumulate*)a.grad_prior_logvar + start + at, extent);
      }
    }
    store(grad_mean, (T*)a.grad_mean + start + at, extent);
    store(grad_scale, (T*)a.grad_scale + start + at, extent);
  };
  if (!use_noise) {
    for (int64_t row = s.row_begin; row < s.row_end; ++row)
      each_column(s.column_begin, s.column_end,
                  [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE { finish(row, at, extent, V(0.0f), V(0.0f)); });
    return;
  }
  if (a.samples == 1) {
    each_noise_tile(a, s, 0, [&](int64_t row, int64_t begin, int64_t end, const float* tile) DGF_LAMBDA_INLINE {
      each_column(begin, end, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
        const V grad_z = load<V>((const T*)a.grad_z + row * a.columns + at, extent);
        const V noise = load_noise<T>(a, tile, begin, at, row * a.columns, extent);
        finish(row, at, extent, grad_z, grad_z * noise);
      });
    });
    return;
  }
  for (int64_t row = s.row_begin; row < s.row_end; ++row)
    for (int64_t begin = s.column_begin; begin < s.column_end; begin += kSampleTile) {
      const int64_t end = begin + kSampleTile < s.column_end ? begin + kSampleTile : s.column_end;
      V grad_z_sum[kSampleTile / kLanes], grad_std_sum[kSampleTile / kLanes];
      for (auto& sum : grad_z_sum) sum = V(0.0f);
      for (auto& sum : grad_std_sum) sum = V(0.0f);
      for (int64_t sample = 0; sample < a.samples; ++sample) {
        alignas(64) float tile[kSampleTile];
        if (!a.noise) fill_noise(a.seed, sample, row, begin / 4, (a.columns + 3) / 4, (end - begin + 3) / 4, tile);
        const int64_t start = sample * sample_size + row * a.columns;
        each_column(begin, end, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
          const V grad_z = load<V>((const T*)a.grad_z + start + at, extent);
          const V noise = load_noise<T>(a, a.noise ? nullptr : tile, begin, at, start, extent);
          const int64_t slot = (at - begin) / kLanes;
          grad_z_sum[slot] = grad_z_sum[slot] + grad_z;
          grad_std_sum[slot] = fma(grad_z, noise, grad_std_sum[slot]);
        });
      }
      each_column(begin, end, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
        finish(row, at, extent, grad_z_sum[(at - begin) / kLanes], grad_std_sum[(at - begin) / kLanes]);
      });
    }
}

// KL row sums and the KL's gradients together, for losses whose incoming gradient is known beforehand.
template <class T, int kind>
void kl_with_gradient_rows(const PosteriorArguments& a, const Span& s) {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type Accumulate;
  const V grad(a.grad_kl_scale);
  for (int64_t row = s.row_begin; row < s.row_end; ++row) {
    const int64_t start = row * a.columns;
    const PriorRows<T> prior(a, row);
    auto body = [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      const V mean = load<V>((const T*)a.mean + start + at, extent);
      const V scale = load<V>((const T*)a.scale + start + at, extent);
      const V kl = kl_element<T, kind>(mean, scale, prior, at, extent);
      if (a.kl_values) store(kl, (Accumulate*)a.kl_values + start + at, extent);
      if (a.grad_mean) {
        const V prior_mean = prior.mean ? load<V>(prior.mean + at, extent) : V(0.0f);
        const V prior_logvar = prior.logvar ? load<V>(prior.logvar + at, extent) : V(0.0f);
        const Factors<V> unit{V(1.0f), V(1.0f)}, precision = prior.logvar ? prior_precision(prior_logvar) : unit;
        V grad_mean = weighted(grad, kl_mean_slope(mean - prior_mean, precision));
        V grad_scale = weighted(grad, kl_scale_slope<kind>(scale, prior_logvar, precision));
        if (a.grad_kl_active) {
          grad_mean = apply_mask(grad_mean, a.grad_kl_active + at, extent);
          grad_scale = apply_mask(grad_scale, a.grad_kl_active + at, extent);
        }
        store(grad_mean, (T*)a.grad_mean + start + at, extent);
        store(grad_scale, (T*)a.grad_scale + start + at, extent);
      }
      return kl;
    };
    s.partial[row * s.chunks + s.chunk] = sum_columns<V>(s.column_begin, s.column_end, body);
  }
}

// The scale kind is a property of the call: one branch here, none in the loops.
#define DGF_BY_SCALE_KIND(name, rows)                                                 \
  template <class T>                                                                  \
  void name(const PosteriorArguments& a, const Span& s) {                             \
    if (a.scale_kind == kLogVariance) return rows<T, kLogVariance>(a, s);             \
    if (a.scale_kind == kStandardDeviation) return rows<T, kStandardDeviation>(a, s); \
    return rows<T, kPreSoftplus>(a, s);                                               \
  }
DGF_BY_SCALE_KIND(reparameterize_kl_any, reparameterize_kl_rows)
DGF_BY_SCALE_KIND(reparameterize_kl_backward_any, reparameterize_kl_backward_rows)
DGF_BY_SCALE_KIND(kl_with_gradient_any, kl_with_gradient_rows)
#undef DGF_BY_SCALE_KIND

static const ReparameterizeKernels kTable = {
    DGF_SET_NAME,
    {reparameterize_kl_any<float>, reparameterize_kl_any<double>, reparameterize_kl_any<BFloat16>,
     reparameterize_kl_any<Half>},
    {reparameterize_kl_backward_any<float>, reparameterize_kl_backward_any<double>,
     reparameterize_kl_backward_any<BFloat16>, reparameterize_kl_backward_any<Half>},
    {kl_with_gradient_any<float>, kl_with_gradient_any<double>, kl_with_gradient_any<BFloat16>,
     kl_with_gradient_any<Half>},
    philox_normal,
};
