// 16 lanes of double, for sums over many elements. (Doubles, in lanes.h, is what float64 tensors are computed in, one
// lane at a time through libm; this is for the float path, and fast.)

typedef double UnalignedDouble __attribute__((vector_size(DGF_VECTOR_BYTES), aligned(8), may_alias));

constexpr int kDoublesAPart = kPartLanes / 2;

struct DoubleLanes {
  NativeDouble part[2 * DGF_PARTS];
};

#define DGF_EACH_DOUBLE_PART(...) \
  _Pragma("GCC unroll 8") for (int p = 0; p < 2 * DGF_PARTS; ++p) { __VA_ARGS__; }

DGF_INLINE DoubleLanes operator+(const DoubleLanes& a, const DoubleLanes& b) {
  DoubleLanes r;
  DGF_EACH_DOUBLE_PART(r.part[p] = a.part[p] + b.part[p])
  return r;
}

DGF_INLINE DoubleLanes operator-(const DoubleLanes& a, const DoubleLanes& b) {
  DoubleLanes r;
  DGF_EACH_DOUBLE_PART(r.part[p] = a.part[p] - b.part[p])
  return r;
}

DGF_INLINE DoubleLanes fma(const DoubleLanes& a, const DoubleLanes& b, const DoubleLanes& c) {
  DoubleLanes r;
#if DGF_VECTOR_BYTES == 64
  DGF_EACH_DOUBLE_PART(r.part[p] =
                           (NativeDouble)_mm512_fmadd_pd((__m512d)a.part[p], (__m512d)b.part[p], (__m512d)c.part[p]))
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_DOUBLE_PART(r.part[p] =
                           (NativeDouble)_mm256_fmadd_pd((__m256d)a.part[p], (__m256d)b.part[p], (__m256d)c.part[p]))
#else
  DGF_EACH_DOUBLE_PART(for (int lane = 0; lane < kDoublesAPart; ++lane) r.part[p][lane] =
                           __builtin_fma(a.part[p][lane], b.part[p][lane], c.part[p][lane]))
#endif
  return r;
}

DGF_INLINE DoubleLanes load_doubles(const double* from) {
  DoubleLanes r;
  DGF_EACH_DOUBLE_PART(r.part[p] = *(const UnalignedDouble*)(from + p * kDoublesAPart))
  return r;
}

DGF_INLINE void store_doubles(const DoubleLanes& x,
                              double* to){DGF_EACH_DOUBLE_PART(*(UnalignedDouble*)(to + p * kDoublesAPart) = x.part[p])}

DGF_INLINE DoubleLanes to_doubles(const Floats& x) {
  DoubleLanes r;
  DGF_EACH_PART(widen_halves(x.part[p], r.part[2 * p], r.part[2 * p + 1]))
  return r;
}
DGF_INLINE DoubleLanes to_doubles(const Doubles& x) { return load_doubles(x.lane); }

// From memory, and of the first lanes only where fewer elements are left: the others are zero.
template <class T>
DGF_INLINE DoubleLanes load_as_doubles(const T* from, Extent extent) {
  return to_doubles(load<Wide<T>>(from, extent));
}
DGF_INLINE DoubleLanes load_as_doubles(const float* from, Extent extent) {
#if DGF_VECTOR_BYTES == 64
  if (extent.full()) {
    DoubleLanes r;
    r.part[0] = (NativeDouble)_mm512_cvtps_pd(_mm256_loadu_ps(from));
    r.part[1] = (NativeDouble)_mm512_cvtps_pd(_mm256_loadu_ps(from + 8));
    return r;
  }
#elif DGF_VECTOR_BYTES == 32
  if (extent.full()) {
    DoubleLanes r;
    DGF_EACH_DOUBLE_PART(r.part[p] = (NativeDouble)_mm256_cvtps_pd(_mm_loadu_ps(from + 4 * p)))
    return r;
  }
#endif
  return to_doubles(load<Floats>(from, extent));
}

// Zero the lanes past the end.
DGF_INLINE DoubleLanes keep(const DoubleLanes& x, Extent extent) {
  if (extent.full()) return x;
  double lane[kLanes];
  store_doubles(x, lane);
  for (int i = extent.count; i < kLanes; ++i) lane[i] = 0.0;
  return load_doubles(lane);
}
