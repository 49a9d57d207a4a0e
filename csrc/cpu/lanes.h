// How a kernel walks a row: 16 columns at a time in the accumulation type, with loads and stores that convert.
// float, bfloat16 and half compute in Floats; double in Doubles, lane by lane through libm (for gradcheck, not speed).

// unused: not every translation unit needs all of them
#define DGF_OUT_OF_LINE static __attribute__((noinline, unused))

struct Doubles {
  double lane[kLanes];
  Doubles() = default;
  __attribute__((always_inline)) explicit Doubles(double value) {
    for (int i = 0; i < kLanes; ++i) lane[i] = value;
  }
};
struct DoubleMask {
  bool lane[kLanes];
};

#define DGF_LANEWISE(Result, signature, expression)          \
  DGF_OUT_OF_LINE Result signature {                         \
    Result r;                                                \
    for (int i = 0; i < kLanes; ++i) r.lane[i] = expression; \
    return r;                                                \
  }
DGF_LANEWISE(Doubles, operator+(const Doubles & a, const Doubles & b), a.lane[i] + b.lane[i])
DGF_LANEWISE(Doubles, operator-(const Doubles & a, const Doubles & b), a.lane[i] - b.lane[i])
DGF_LANEWISE(Doubles, operator*(const Doubles & a, const Doubles & b), a.lane[i] * b.lane[i])
DGF_LANEWISE(Doubles, operator/(const Doubles & a, const Doubles & b), a.lane[i] / b.lane[i])
DGF_LANEWISE(Doubles, operator-(const Doubles & a), -a.lane[i])
DGF_LANEWISE(DoubleMask, operator<(const Doubles & a, const Doubles & b), a.lane[i] < b.lane[i])
DGF_LANEWISE(DoubleMask, operator==(const Doubles & a, const Doubles & b), a.lane[i] == b.lane[i])
DGF_LANEWISE(DoubleMask, both(const DoubleMask& a, const DoubleMask& b), a.lane[i] && b.lane[i])
DGF_LANEWISE(Doubles, select(const DoubleMask& m, const Doubles& a, const Doubles& b),
             m.lane[i] ? a.lane[i] : b.lane[i])
DGF_LANEWISE(Doubles, fma(const Doubles& a, const Doubles& b, const Doubles& c),
             dgf::fma(a.lane[i], b.lane[i], c.lane[i]))
DGF_LANEWISE(Doubles, exp(const Doubles& x), dgf::exp(x.lane[i]))
DGF_LANEWISE(Doubles, exp_finite(const Doubles& x), dgf::exp_finite(x.lane[i]))
DGF_LANEWISE(Doubles, tanh(const Doubles& x), dgf::tanh(x.lane[i]))
DGF_LANEWISE(Doubles, log(const Doubles& x), dgf::log(x.lane[i]))
DGF_LANEWISE(Doubles, log1p_unit(const Doubles& x), dgf::log1p_unit(x.lane[i]))
DGF_LANEWISE(Doubles, reciprocal_unit(const Doubles& x), dgf::reciprocal_unit(x.lane[i]))
DGF_LANEWISE(Doubles, log1p_positive(const Doubles& x), ::log1p(x.lane[i]))
DGF_LANEWISE(Doubles, absolute(const Doubles& x), dgf::absolute(x.lane[i]))
DGF_LANEWISE(Doubles, negative_part(const Doubles& x), dgf::negative_part(x.lane[i]))
DGF_LANEWISE(Doubles, positive_part(const Doubles& x), dgf::positive_part(x.lane[i]))
DGF_LANEWISE(Doubles, below_infinity(const Doubles& x), dgf::below_infinity(x.lane[i]))
#undef DGF_LANEWISE
DGF_OUT_OF_LINE Factors<Doubles> exp_factors(const Doubles& x) {
  Factors<Doubles> r;
  for (int i = 0; i < kLanes; ++i) {
    const Factors<double> lane = dgf::exp_factors(x.lane[i]);
    r.one.lane[i] = lane.one, r.two.lane[i] = lane.two;
  }
  return r;
}

// The vector that elements of type T are computed in.
template <class T>
struct WideOf {
  typedef Floats type;
};
template <>
struct WideOf<double> {
  typedef Doubles type;
};
template <class T>
using Wide = typename WideOf<T>::type;

// ---- whole vectors and tails -------------------------------------------------------------------------------------

// How many of the 16 columns exist: all of them, as a constant, in a row's loop; fewer only in its last vector.
struct Extent {
  int count;
  __attribute__((always_inline)) bool full() const { return __builtin_expect(count == kLanes, 1); }
};

// Zero the lanes past the end of the row.
template <class V, class Lane>
DGF_OUT_OF_LINE void zero_past(V& x, int count, Lane* lane) {
  memcpy(lane, &x, sizeof x);
  for (int i = count; i < kLanes; ++i) lane[i] = 0;
  memcpy(&x, lane, sizeof x);
}
DGF_INLINE Floats keep(Floats x, Extent extent) {
  float lane[kLanes];
  if (!extent.full()) zero_past(x, extent.count, lane);
  return x;
}
DGF_INLINE Doubles keep(Doubles x, Extent extent) {
  double lane[kLanes];
  if (!extent.full()) zero_past(x, extent.count, lane);
  return x;
}

// ---- loads -------------------------------------------------------------------------------------------------------

// 16 unsigned bytes or half-words, widened to 32 bits. (GCC 12 does these conversions lane by lane without intrinsics.)
DGF_INLINE Words widen(const uint8_t* from) {
  Words r;
#if DGF_VECTOR_BYTES == 64
  r.part[0] = (NativeWord)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)from));
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(r.part[p] = (NativeWord)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)(from + p * kPartLanes))))
#else
  DGF_EACH_PART(for (int lane = 0; lane < kPartLanes; ++lane) r.part[p][lane] = from[p * kPartLanes + lane])
#endif
  return r;
}
DGF_INLINE Words widen(const uint16_t* from) {
  Words r;
#if DGF_VECTOR_BYTES == 64
  r.part[0] = (NativeWord)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)from));
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(r.part[p] = (NativeWord)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)(from + p * kPartLanes))))
#else
  DGF_EACH_PART(for (int lane = 0; lane < kPartLanes; ++lane) r.part[p][lane] = from[p * kPartLanes + lane])
#endif
  return r;
}

// The low half-words of 16 lanes whose high halves are zero.
DGF_INLINE void store_narrow(const Words& x, uint16_t* to) {
#if DGF_VECTOR_BYTES == 64
  _mm256_storeu_si256((__m256i*)to, _mm512_cvtepi32_epi16((__m512i)x.part[0]));
#elif DGF_VECTOR_BYTES == 32
  const __m256i packed = _mm256_packus_epi32((__m256i)x.part[0], (__m256i)x.part[1]);
  _mm256_storeu_si256((__m256i*)to, _mm256_permute4x64_epi64(packed, 0xD8));
#else
  DGF_EACH_PART(for (int lane = 0; lane < kPartLanes; ++lane) to[p * kPartLanes + lane] = (uint16_t)x.part[p][lane])
#endif
}

// Part by part: as one memcpy of the struct it goes through 16-byte pieces on the stack.
typedef float UnalignedFloat __attribute__((vector_size(DGF_VECTOR_BYTES), aligned(4), may_alias));

DGF_INLINE void load_vector(const float* from,
                            Floats& x){DGF_EACH_PART(x.part[p] = *(const UnalignedFloat*)(from + p * kPartLanes))}

DGF_INLINE void load_vector(const BFloat16* from, Floats& x) {
  x = from_bits(shift_left(widen((const uint16_t*)from), 16));
}

DGF_INLINE void load_vector(const Half* from, Floats& x) {
#if DGF_VECTOR_BYTES == 64
  x.part[0] = (NativeFloat)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from));
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(x.part[p] = (NativeFloat)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(from + p * kPartLanes))))
#else
  __fp16 raw[kLanes];
  memcpy(raw, from, sizeof raw);
  DGF_EACH_PART(for (int lane = 0; lane < kPartLanes; ++lane) x.part[p][lane] = raw[p * kPartLanes + lane])
#endif
}

DGF_INLINE void load_vector(const uint8_t* from, Floats& x) { x = signed_to_float(widen(from)); }

template <class T>
DGF_INLINE void load_vector(const T* from, Doubles& x) {
  for (int i = 0; i < kLanes; ++i) x.lane[i] = (double)from[i];
}

template <class V, class T>
DGF_OUT_OF_LINE void load_tail(const T* from, int count, V& x) {
  T padded[kLanes] = {};
  memcpy(padded, from, count * sizeof(T));
  load_vector(padded, x);
}
template <class V, class T>
DGF_INLINE V load(const T* from, Extent extent) {
  V x;
  if (extent.full())
    load_vector(from, x);
  else
    load_tail(from, extent.count, x);
  return x;
}

template <class T>
struct AccumulateOf {
  typedef float type;
};
template <>
struct AccumulateOf<double> {
  typedef double type;
};

// One element, widened and repeated in all lanes.
template <class V, class T>
DGF_INLINE V broadcast_element(const T* from) {
  T repeated[kLanes];
  for (int i = 0; i < kLanes; ++i) repeated[i] = *from;
  V x;
  load_vector(repeated, x);
  return x;
}

// The incoming gradient of a row's sum: per row, or one number for all.
template <class Accumulate>
DGF_INLINE Accumulate row_gradient(const LikelihoodArguments& a, int64_t row) {
  return a.grad && !a.grad_elementwise ? ((const Accumulate*)a.grad)[row] : (Accumulate)a.grad_scale;
}

// The usual call: targets of the input's type, no mask, sums of rows with a gradient a row. In float, kernels are
// compiled once more for it: the branches on options cost as much as a few instructions of arithmetic.
DGF_INLINE bool plain_call(const LikelihoodArguments& a) {
  return a.target.kind == TargetKind::kSame && !a.mask.data && !a.values && !a.grad_elementwise && !a.grad_target;
}

// Targets may be of the input's type, float, or bytes (uint8 and bool); the branch is the same for a whole call.
template <class T>
DGF_INLINE Wide<T> load_target(const Target& target, TargetKind kind, int64_t at, Extent extent) {
  typedef Wide<T> V;
  switch (kind) {
    case TargetKind::kSame: return load<V>((const T*)target.data + at, extent);
    case TargetKind::kFloat: return load<V>((const float*)target.data + at, extent);
    default: return load<V>((const uint8_t*)target.data + at, extent);
  }
}

// Zero where the mask is false.
template <class V>
DGF_INLINE V apply_mask(const V& x, const uint8_t* mask, Extent extent) {
  return select(load<V>(mask, extent) == V(0), V(0), x);
}

// ---- stores ------------------------------------------------------------------------------------------------------

DGF_INLINE void store_vector(const Floats& x,
                             float* to){DGF_EACH_PART(*(UnalignedFloat*)(to + p * kPartLanes) = x.part[p])}

DGF_INLINE void store_vector(const Floats& x, BFloat16* to) {
  const Words raw = bits(x);
  // Round to nearest even on the dropped half; a NaN keeps being one.
  Words rounded = raw + Words(0x7fffu) + (shift_right(raw, 16) & Words(1u));
  rounded = select(x == x, rounded, Words(0x7fc00000u));
  store_narrow(shift_right(rounded, 16), (uint16_t*)to);
}

DGF_INLINE void store_vector(const Floats& x, Half* to) {
#if DGF_VECTOR_BYTES == 64
  _mm256_storeu_si256((__m256i*)to, _mm512_cvtps_ph((__m512)x.part[0], 0));
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(_mm_storeu_si128((__m128i*)(to + p * kPartLanes), _mm256_cvtps_ph((__m256)x.part[p], 0)))
#else
  __fp16 raw[kLanes];
  DGF_EACH_PART(for (int lane = 0; lane < kPartLanes; ++lane) raw[p * kPartLanes + lane] = (__fp16)x.part[p][lane])
  memcpy(to, raw, sizeof raw);
#endif
}

DGF_INLINE void store_vector(const Doubles& x, double* to) { memcpy(to, &x, sizeof x); }

template <class V, class T>
DGF_OUT_OF_LINE void store_tail(const V& x, T* to, int count) {
  T padded[kLanes];
  store_vector(x, padded);
  memcpy(to, padded, count * sizeof(T));
}
template <class V, class T>
DGF_INLINE void store(const V& x, T* to, Extent extent) {
  if (extent.full())
    store_vector(x, to);
  else
    store_tail(x, to, extent.count);
}

// ---- walking and summing a row -----------------------------------------------------------------------------------

template <class F>
DGF_INLINE void each_column(int64_t begin, int64_t end, F body) {
  int64_t at = begin;
#pragma GCC unroll 1
  for (; at + kLanes <= end; at += kLanes) body(at, Extent{kLanes});
  if (at < end) body(at, Extent{(int)(end - at)});
}

// What a row adds up to, lane by lane, in double: registers, not memory.
#define DGF_HALF_LANES (kPartLanes / 2)
typedef double NativeDouble __attribute__((vector_size(DGF_VECTOR_BYTES)));

struct LaneSums {
  NativeDouble half[2 * DGF_PARTS];
  __attribute__((always_inline)) LaneSums() {
    for (auto& lanes : half) lanes = NativeDouble{};
  }
};

// The lower and the upper half of a register of floats, as doubles. (GCC 12 takes them out lane by lane without
// intrinsics.)
DGF_INLINE void widen_halves(const NativeFloat& x, NativeDouble& low, NativeDouble& high) {
#if DGF_VECTOR_BYTES == 64
  low = (NativeDouble)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)x));
  high = (NativeDouble)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)x, 1));
#elif DGF_VECTOR_BYTES == 32
  low = (NativeDouble)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x));
  high = (NativeDouble)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1));
#else
  for (int lane = 0; lane < DGF_HALF_LANES; ++lane) low[lane] = x[lane], high[lane] = x[lane + DGF_HALF_LANES];
#endif
}

DGF_INLINE void add_lanes(const Floats& x, LaneSums& total) {
  DGF_EACH_PART(NativeDouble low; NativeDouble high; widen_halves(x.part[p], low, high); total.half[2 * p] += low;
                total.half[2 * p + 1] += high;)
}
DGF_INLINE void add_lanes(const Doubles& x, LaneSums& total) {
  for (int i = 0; i < 2 * DGF_PARTS; ++i) {
    NativeDouble lanes;
    memcpy(&lanes, x.lane + i * DGF_HALF_LANES, sizeof lanes);
    total.half[i] += lanes;
  }
}

// Adds 16 lanes in a fixed tree.
DGF_INLINE double sum_lanes(const LaneSums& total) {
  double lane[kLanes];
  memcpy(lane, &total, sizeof lane);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
  return lane[0];
}
#undef DGF_HALF_LANES

// A sum over a row: body(block, column, extent) puts 16 columns into a block, at most Block::kVectors of them, whose
// sums add up in double lanes. So the error does not grow with the row, and the order is the same for every instruction
// set and thread count.

template <class Block, class F>
DGF_INLINE double sum_blocks(int64_t begin, int64_t end, F body) {
  const int64_t whole = begin + (end - begin) / kLanes * kLanes;
  LaneSums total;
#pragma GCC unroll 1
  for (int64_t at = begin; at < whole;) {
    const int64_t block_end = at + Block::kVectors * kLanes < whole ? at + Block::kVectors * kLanes : whole;
    Block block;
#pragma GCC unroll 1
    for (; at < block_end; at += kLanes) body(block, at, Extent{kLanes});
    add_lanes(block.sum(), total);
  }
  if (whole < end) {
    const Extent tail{(int)(end - whole)};
    Block block;
    body(block, whole, tail);
    add_lanes(keep(block.sum(), tail), total);
  }
  return sum_lanes(total);
}

// The sum of body's vectors.
template <class V>
struct VectorBlock {
  static constexpr int kVectors = 8;
  V value;
  __attribute__((always_inline)) VectorBlock() : value(0.0f) {}
  __attribute__((always_inline)) V sum() const { return value; }
};
template <class V, class F>
DGF_INLINE double sum_columns(int64_t begin, int64_t end, F body) {
  return sum_blocks<VectorBlock<V>>(begin, end,
                                    [&](VectorBlock<V>& block, int64_t at, Extent extent)
                                        DGF_LAMBDA_INLINE { block.value = block.value + body(at, extent); });
}
