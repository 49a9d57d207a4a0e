// 16 lanes of float and of 32-bit words, whatever the register width: one AVX-512 register, two of AVX2, four of NEON.
// Included once per instruction set, inside that set's namespace and target pragma; no standard header may be
// included from here on (its inline functions would be compiled for a processor that may not be there).
//
// Every operation is exact or rounds once, fma is explicit and contraction is off, so all sets agree to the bit.

#if DGF_VECTOR_BYTES == 64
#define DGF_PARTS 1
#elif DGF_VECTOR_BYTES == 32
#define DGF_PARTS 2
#else
#define DGF_PARTS 4
#endif

#define DGF_INLINE static inline __attribute__((always_inline))
// A statement for every part p. Written out, not looped: with constant indices the parts live in registers.
#define DGF_PART(index, ...) \
  {                          \
    constexpr int p = index; \
    __VA_ARGS__;             \
  }
#if DGF_PARTS == 1
#define DGF_EACH_PART(...) DGF_PART(0, __VA_ARGS__)
#elif DGF_PARTS == 2
#define DGF_EACH_PART(...) DGF_PART(0, __VA_ARGS__) DGF_PART(1, __VA_ARGS__)
#else
#define DGF_EACH_PART(...) \
  DGF_PART(0, __VA_ARGS__) DGF_PART(1, __VA_ARGS__) DGF_PART(2, __VA_ARGS__) DGF_PART(3, __VA_ARGS__)
#endif

typedef float NativeFloat __attribute__((vector_size(DGF_VECTOR_BYTES)));
typedef int32_t NativeInt __attribute__((vector_size(DGF_VECTOR_BYTES)));
typedef uint32_t NativeWord __attribute__((vector_size(DGF_VECTOR_BYTES)));

constexpr int kLanes = 16;
constexpr int kPartLanes = kLanes / DGF_PARTS;

// A lane mask: all bits of a lane set, or none.
struct Mask {
  NativeInt part[DGF_PARTS];
};

struct Words {
  NativeWord part[DGF_PARTS];
  Words() = default;
  __attribute__((always_inline)) explicit Words(uint32_t word) { DGF_EACH_PART(part[p] = NativeWord{} + word) }
};

struct Floats {
  NativeFloat part[DGF_PARTS];
  Floats() = default;
  __attribute__((always_inline)) explicit Floats(float value) { DGF_EACH_PART(part[p] = NativeFloat{} + value) }
  __attribute__((always_inline)) explicit Floats(double value) : Floats(static_cast<float>(value)) {}
  __attribute__((always_inline)) explicit Floats(int value) : Floats(static_cast<float>(value)) {}
};

#define DGF_BINARY(Type, op)                                  \
  DGF_INLINE Type operator op(const Type& a, const Type& b) { \
    Type r;                                                   \
    DGF_EACH_PART(r.part[p] = a.part[p] op b.part[p])         \
    return r;                                                 \
  }
DGF_BINARY(Floats, +)
DGF_BINARY(Floats, -)
DGF_BINARY(Floats, *)
DGF_BINARY(Floats, /)
DGF_BINARY(Words, +)
DGF_BINARY(Words, -)
DGF_BINARY(Words, &)
DGF_BINARY(Words, ^)
#undef DGF_BINARY

DGF_INLINE Words operator^(const Words& a, uint32_t b) { return a ^ Words(b); }

DGF_INLINE Words xor3(const Words& a, const Words& b, uint32_t c) {
#if DGF_VECTOR_BYTES == 64
  Words r;
  r.part[0] =
      (NativeWord)_mm512_ternarylogic_epi32((__m512i)a.part[0], (__m512i)b.part[0], _mm512_set1_epi32((int)c), 0x96);
  return r;
#else
  return a ^ b ^ c;
#endif
}

#define DGF_COMPARE(Type, op)                                 \
  DGF_INLINE Mask operator op(const Type& a, const Type& b) { \
    Mask r;                                                   \
    DGF_EACH_PART(r.part[p] = a.part[p] op b.part[p])         \
    return r;                                                 \
  }
DGF_COMPARE(Floats, <)
DGF_COMPARE(Floats, >)
DGF_COMPARE(Floats, ==)
DGF_COMPARE(Words, <)
DGF_COMPARE(Words, >=)
#undef DGF_COMPARE

DGF_INLINE Mask both(const Mask& a, const Mask& b) {
  Mask r;
  DGF_EACH_PART(r.part[p] = a.part[p] & b.part[p])
  return r;
}

template <class T>
DGF_INLINE T select(const Mask& mask, const T& yes, const T& no) {
  T r;
  DGF_EACH_PART(r.part[p] = mask.part[p] ? yes.part[p] : no.part[p])
  return r;
}

DGF_INLINE Words bits(const Floats& x) {
  Words r;
  DGF_EACH_PART(r.part[p] = (NativeWord)x.part[p])
  return r;
}

DGF_INLINE Floats from_bits(const Words& x) {
  Floats r;
  DGF_EACH_PART(r.part[p] = (NativeFloat)x.part[p])
  return r;
}

DGF_INLINE Words shift_left(const Words& x, int count) {
  Words r;
  DGF_EACH_PART(r.part[p] = x.part[p] << count)
  return r;
}

DGF_INLINE Words shift_right(const Words& x, int count) {
  Words r;
  DGF_EACH_PART(r.part[p] = x.part[p] >> count)
  return r;
}

DGF_INLINE Words shift_right_signed(const Words& x, int count) {
  Words r;
  DGF_EACH_PART(r.part[p] = (NativeWord)((NativeInt)x.part[p] >> count))
  return r;
}

// Signed 32-bit integers to float; exact below 2^24.
DGF_INLINE Floats signed_to_float(const Words& x) {
  Floats r;
  DGF_EACH_PART(r.part[p] = __builtin_convertvector((NativeInt)x.part[p], NativeFloat))
  return r;
}

DGF_INLINE Floats operator-(const Floats& x) { return from_bits(bits(x) ^ 0x80000000u); }
DGF_INLINE Floats absolute(const Floats& x) { return from_bits(bits(x) & Words(0x7fffffffu)); }

DGF_INLINE Floats fma(const Floats& a, const Floats& b, const Floats& c) {
  Floats r;
#if DGF_VECTOR_BYTES == 64
  r.part[0] = (NativeFloat)_mm512_fmadd_ps((__m512)a.part[0], (__m512)b.part[0], (__m512)c.part[0]);
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(r.part[p] = (NativeFloat)_mm256_fmadd_ps((__m256)a.part[p], (__m256)b.part[p], (__m256)c.part[p]))
#else
  DGF_EACH_PART(for (int lane = 0; lane < kPartLanes; ++lane) r.part[p][lane] =
                    __builtin_fmaf(a.part[p][lane], b.part[p][lane], c.part[p][lane]))
#endif
  return r;
}

DGF_INLINE Floats square_root(const Floats& x) {
  Floats r;
#if DGF_VECTOR_BYTES == 64
  r.part[0] = (NativeFloat)_mm512_sqrt_ps((__m512)x.part[0]);
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(r.part[p] = (NativeFloat)_mm256_sqrt_ps((__m256)x.part[p]))
#else
  DGF_EACH_PART(for (int lane = 0; lane < kPartLanes; ++lane) r.part[p][lane] = __builtin_sqrtf(x.part[p][lane]))
#endif
  return r;
}

// The larger and the smaller of a bound and x in one instruction; a NaN in x stays, as the second operand wins ties.
DGF_INLINE Floats at_least(const Floats& bound, const Floats& x) {
  Floats r;
#if DGF_VECTOR_BYTES == 64
  r.part[0] = (NativeFloat)_mm512_max_ps((__m512)bound.part[0], (__m512)x.part[0]);
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(r.part[p] = (NativeFloat)_mm256_max_ps((__m256)bound.part[p], (__m256)x.part[p]))
#else
  r = select(x < bound, bound, x);
#endif
  return r;
}
DGF_INLINE Floats at_most(const Floats& bound, const Floats& x) {
  Floats r;
#if DGF_VECTOR_BYTES == 64
  r.part[0] = (NativeFloat)_mm512_min_ps((__m512)bound.part[0], (__m512)x.part[0]);
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(r.part[p] = (NativeFloat)_mm256_min_ps((__m256)bound.part[p], (__m256)x.part[p]))
#else
  r = select(x > bound, bound, x);
#endif
  return r;
}

// A 32-bit word as a float, rounded to nearest even: both halves are exact and the fma rounds once.
DGF_INLINE Floats to_float(const Words& x) {
  return fma(signed_to_float(shift_right(x, 16)), Floats(65536.0f), signed_to_float(x & Words(0xffffu)));
}

DGF_INLINE void multiply_high_low(uint32_t multiplier, const Words& word, Words& high, Words& low) {
#if DGF_VECTOR_BYTES == 64
  const __m512i m = _mm512_set1_epi32((int)multiplier), w = (__m512i)word.part[0];
  const __m512i even = _mm512_mul_epu32(w, m), odd = _mm512_mul_epu32(_mm512_srli_epi64(w, 32), m);
  // One masked shuffle each: the high words of both products, and the low words.
  high.part[0] = (NativeWord)_mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
  low.part[0] = (NativeWord)_mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA);
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(const __m256i m = _mm256_set1_epi32((int)multiplier); const __m256i w = (__m256i)word.part[p];
                const __m256i even = _mm256_mul_epu32(w, m);
                const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(w, 32), m);
                high.part[p] = (NativeWord)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
                low.part[p] = (NativeWord)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);)
#else
  DGF_EACH_PART(for (int lane = 0; lane < kPartLanes; ++lane) {
    const uint64_t product = (uint64_t)multiplier * word.part[p][lane];
    high.part[p][lane] = (uint32_t)(product >> 32);
    low.part[p][lane] = (uint32_t)product;
  })
#endif
}

// Transpose 4 x 4 floats inside each group of four lanes: on return v0 holds what lanes 0 of each group held, and so
// on.
#if DGF_VECTOR_BYTES == 64
#define DGF_LOW_PAIRS 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define DGF_HIGH_PAIRS 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define DGF_LOW_HALVES 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define DGF_HIGH_HALVES 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#elif DGF_VECTOR_BYTES == 32
#define DGF_LOW_PAIRS 0, 8, 1, 9, 4, 12, 5, 13
#define DGF_HIGH_PAIRS 2, 10, 3, 11, 6, 14, 7, 15
#define DGF_LOW_HALVES 0, 1, 8, 9, 4, 5, 12, 13
#define DGF_HIGH_HALVES 2, 3, 10, 11, 6, 7, 14, 15
#else
#define DGF_LOW_PAIRS 0, 4, 1, 5
#define DGF_HIGH_PAIRS 2, 6, 3, 7
#define DGF_LOW_HALVES 0, 1, 4, 5
#define DGF_HIGH_HALVES 2, 3, 6, 7
#endif
DGF_INLINE void transpose_quads(Floats& v0, Floats& v1, Floats& v2, Floats& v3) {
  DGF_EACH_PART(const NativeFloat ab_low = __builtin_shufflevector(v0.part[p], v1.part[p], DGF_LOW_PAIRS);
                const NativeFloat ab_high = __builtin_shufflevector(v0.part[p], v1.part[p], DGF_HIGH_PAIRS);
                const NativeFloat cd_low = __builtin_shufflevector(v2.part[p], v3.part[p], DGF_LOW_PAIRS);
                const NativeFloat cd_high = __builtin_shufflevector(v2.part[p], v3.part[p], DGF_HIGH_PAIRS);
                v0.part[p] = __builtin_shufflevector(ab_low, cd_low, DGF_LOW_HALVES);
                v1.part[p] = __builtin_shufflevector(ab_low, cd_low, DGF_HIGH_HALVES);
                v2.part[p] = __builtin_shufflevector(ab_high, cd_high, DGF_LOW_HALVES);
                v3.part[p] = __builtin_shufflevector(ab_high, cd_high, DGF_HIGH_HALVES))
}

// What transpose_quads leaves of 16 rows, to memory: the lanes of group g, of all four vectors, one after another to
// to + g * stride.
DGF_INLINE void store_quads(const Floats& v0, const Floats& v1, const Floats& v2, const Floats& v3, float* to,
                            int64_t stride) {
#if DGF_VECTOR_BYTES == 64
  const __m512 a = (__m512)v0.part[0], b = (__m512)v1.part[0], c = (__m512)v2.part[0], d = (__m512)v3.part[0];
  const __m512 ab_low = _mm512_shuffle_f32x4(a, b, 0x44), ab_high = _mm512_shuffle_f32x4(a, b, 0xEE);
  const __m512 cd_low = _mm512_shuffle_f32x4(c, d, 0x44), cd_high = _mm512_shuffle_f32x4(c, d, 0xEE);
  _mm512_storeu_ps(to, _mm512_shuffle_f32x4(ab_low, cd_low, 0x88));
  _mm512_storeu_ps(to + stride, _mm512_shuffle_f32x4(ab_low, cd_low, 0xDD));
  _mm512_storeu_ps(to + 2 * stride, _mm512_shuffle_f32x4(ab_high, cd_high, 0x88));
  _mm512_storeu_ps(to + 3 * stride, _mm512_shuffle_f32x4(ab_high, cd_high, 0xDD));
#elif DGF_VECTOR_BYTES == 32
  DGF_EACH_PART(const __m256 a = (__m256)v0.part[p]; const __m256 b = (__m256)v1.part[p];
                const __m256 c = (__m256)v2.part[p]; const __m256 d = (__m256)v3.part[p];
                float* const low = to + 2 * p * stride; float* const high = low + stride;
                _mm256_storeu_ps(low, _mm256_permute2f128_ps(a, b, 0x20));
                _mm256_storeu_ps(low + 8, _mm256_permute2f128_ps(c, d, 0x20));
                _mm256_storeu_ps(high, _mm256_permute2f128_ps(a, b, 0x31));
                _mm256_storeu_ps(high + 8, _mm256_permute2f128_ps(c, d, 0x31));)
#else
  DGF_EACH_PART(float* const line = to + p * stride; memcpy(line, &v0.part[p], 16); memcpy(line + 4, &v1.part[p], 16);
                memcpy(line + 8, &v2.part[p], 16); memcpy(line + 12, &v3.part[p], 16);)
#endif
}
#undef DGF_LOW_PAIRS
#undef DGF_HIGH_PAIRS
#undef DGF_LOW_HALVES
#undef DGF_HIGH_HALVES
