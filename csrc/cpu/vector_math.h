// The primitives of math/scalar_math.h for 16 floats: polynomials, no libm, at most 1 ulp for exp and log.
//
// Polynomials are evaluated as even and odd halves, in the square of the argument: as many instructions, in chains of
// half the length. A processor holds two or three vectors' worth of instructions in flight, so it is the chain that
// binds.

DGF_INLINE Floats negative_part(const Floats& x) { return at_most(Floats(0), x); }
DGF_INLINE Floats positive_part(const Floats& x) { return at_least(Floats(0), x); }
DGF_INLINE Floats below_infinity(const Floats& x) {
  const Floats largest(3.402823466e38f);
  return select(x > largest, largest, x);
}

// 1 / x for x in [1, 2].
DGF_INLINE Floats reciprocal_unit(const Floats& x) { return Floats(1) / x; }

// 2^n x for integral n (as float and as integer) in [-252, 254], rounding once also into the subnormal range.
DGF_INLINE Floats scale_by_power(const Floats& x, const Words& n, const Floats& n_float) {
#if DGF_VECTOR_BYTES == 64
  (void)n;
  Floats r;
  r.part[0] = (NativeFloat)_mm512_scalef_ps((__m512)x.part[0], (__m512)n_float.part[0]);
  return r;
#else
  (void)n_float;
  const Words half = shift_right_signed(n, 1), rest = n - half;
  return x * from_bits(shift_left(half + Words(127u), 23)) * from_bits(shift_left(rest + Words(127u), 23));
#endif
}

// e^x = y 2^n for x in [-174, 176]: Cody-Waite reduction, degree-6 polynomial.
struct PowerOfE {
  Floats y, n_float;
  Words n;
};
DGF_INLINE PowerOfE reduce_exp(const Floats& x) {
  const Floats magic(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer held in the low bits
  const Floats shifted = fma(x, Floats(1.44269504f), magic);
  const Floats n = shifted - magic;
  Floats r = fma(n, Floats(-0.693359375f), x);
  r = fma(n, Floats(2.12194440e-4f), r);
  const Floats square = r * r;
  const Floats odd =
      fma(fma(square, Floats(1.9875691500e-4f), Floats(8.3334519073e-3f)), square, Floats(1.6666665459e-1f));
  const Floats even =
      fma(fma(square, Floats(1.3981999507e-3f), Floats(4.1665795894e-2f)), square, Floats(5.0000001201e-1f));
  return {fma(fma(odd, r, even), square, r) + Floats(1), n, bits(shifted) - Words(0x4b400000u)};
}

// exp for arguments already inside [-104, 89].
DGF_INLINE Floats exp_reduced(const Floats& x) {
  const PowerOfE e = reduce_exp(x);
  return scale_by_power(e.y, e.n, e.n_float);
}

// NaN passes every clamp here.
DGF_INLINE Floats clamp(const Floats& x, float low, float high) {
  return at_most(Floats(high), at_least(Floats(low), x));
}

DGF_INLINE Floats exp(const Floats& x) { return exp_reduced(clamp(x, -104.0f, 89.0f)); }
DGF_INLINE Floats exp_finite(const Floats& x) { return exp_reduced(clamp(x, -87.33654f, 88.72283f)); }
DGF_INLINE Factors<Floats> exp_factors(const Floats& x) {
  const PowerOfE e = reduce_exp(clamp(x, -174.0f, 176.0f));
  const Words half = shift_right_signed(e.n, 1), rest = e.n - half;
  return {e.y * from_bits(shift_left(half + Words(127u), 23)), from_bits(shift_left(rest + Words(127u), 23))};
}

// tanh: near 0, where 1 - exp would cancel, an odd polynomial.
DGF_INLINE Floats tanh(const Floats& x) {
  const Floats size = absolute(x), square = x * x;
  Floats y = fma(square, Floats(-5.70498872745e-3f), Floats(2.06390887954e-2f));
  y = fma(y, square, Floats(-5.37397155531e-2f));
  y = fma(y, square, Floats(1.33314422036e-1f));
  y = fma(y, square, Floats(-3.33332819422e-1f));
  y = fma(y * square, x, x);
  const Floats decay = exp(size * Floats(-2));
  const Floats far = Floats(1) - (decay + decay) / (decay + Floats(1));
  return select(size < Floats(0.625f), y, from_bits(bits(far) ^ (bits(x) & Words(0x80000000u))));
}

// log of a positive normal number.
DGF_INLINE Floats log_normal(const Floats& x) {
  // Exponent such that the mantissa falls in [sqrt(1/2), sqrt(2)).
  const Words offset = bits(x) - Words(0x3f3504f3u);
  const Words exponent = shift_right_signed(offset, 23);
  const Floats e = signed_to_float(exponent);
  const Floats m = from_bits(bits(x) - shift_left(exponent, 23)) - Floats(1);
  Floats y = fma(m, Floats(7.0376836292e-2f), Floats(-1.1514610310e-1f));
  y = fma(y, m, Floats(1.1676998740e-1f));
  y = fma(y, m, Floats(-1.2420140846e-1f));
  y = fma(y, m, Floats(1.4249322787e-1f));
  y = fma(y, m, Floats(-1.6668057665e-1f));
  y = fma(y, m, Floats(2.0000714765e-1f));
  y = fma(y, m, Floats(-2.4999993993e-1f));
  y = fma(y, m, Floats(3.3333331174e-1f));
  const Floats square = m * m;
  y = y * (m * square);
  y = fma(e, Floats(-2.12194440e-4f), y);
  y = fma(square, Floats(-0.5f), y);
  return fma(e, Floats(0.693359375f), m + y);
}

// log of any number: -inf at 0, NaN below, subnormals by scaling.
DGF_INLINE Floats log(const Floats& x) {
  const Mask small = x < Floats(1.17549435e-38f);
  const Floats scaled = select(small, x * Floats(8388608.0f), x);
  Floats y = log_normal(scaled) - select(small, Floats(15.9423847f), Floats(0));
  const Floats infinity(__builtin_inff());
  y = select(x == infinity, infinity, y);
  y = select(x == Floats(0), -infinity, y);
  y = select(x < Floats(0), Floats(__builtin_nanf("")), y);
  return select(x == x, y, x);
}

// sin and cos of 2 pi u for u in [0, 1]: exact reduction to an eighth of a turn, then polynomials in turns. The leading
// terms carry their rounding errors along (0.7 and 0.6 ulp), so that noise stays within 2 ulp of the reference.
DGF_INLINE void sincos_turn(const Floats& u, Floats& sine, Floats& cosine) {
  const Floats magic(12582912.0f);
  const Floats shifted = fma(u, Floats(4.0f), magic);
  const Words quadrant = bits(shifted);
  const Floats turn = fma(shifted - magic, Floats(-0.25f), u);
  const Floats square = turn * turn;
  Floats s = fma(square, Floats(41.4858512878418f), Floats(-76.69832611083984f));
  s = fma(s, square, Floats(81.60520935058594f));
  s = fma(s, square, Floats(-41.34170150756836f));
  s = fma(s, square, Floats(-1.7484555e-7f));  // what 2 pi lacks in float
  s = fma(turn, Floats(6.28318548f), s * turn);
  Floats c = fma(square, Floats(59.24293518066406f), Floats(-85.44364166259766f));
  c = fma(c, square, Floats(64.93932342529297f));
  c = fma(c, square, Floats(-4.6930372e-7f));
  const Floats lead(-19.739208221435547f);
  const Floats high = fma(square, lead, Floats(1));
  const Floats low = fma(fma(turn, turn, -square), lead, fma(square, lead, Floats(1) - high));
  c = high + fma(c, square, low);
  const Mask even = (quadrant & Words(1u)) < Words(1u);
  const Words sine_sign = shift_left(quadrant & Words(2u), 30);
  const Words cosine_sign = shift_left((quadrant + Words(1u)) & Words(2u), 30);
  sine = from_bits(bits(select(even, s, c)) ^ sine_sign);
  cosine = from_bits(bits(select(even, c, s)) ^ cosine_sign);
}

// log(1 + x) for x in [0, 1]: x P(x), P of degree 9 fitted to a relative error of 5e-9; at most 1.5 ulp. One chain, as
// the last terms are the largest: halves would add up with another rounding.
DGF_INLINE Floats log1p_unit(const Floats& x) {
  Floats y = fma(x, Floats(-0.0032438531051321196f), Floats(0.019850686192512512f));
  y = fma(y, x, Floats(-0.05695807933807373f));
  y = fma(y, x, Floats(0.10603507608175278f));
  y = fma(y, x, Floats(-0.15305505692958832f));
  y = fma(y, x, Floats(0.19675908982753754f));
  y = fma(y, x, Floats(-0.2495412826538086f));
  y = fma(y, x, Floats(0.3332996070384979f));
  y = fma(y, x, Floats(-0.4999990165233612f));
  return x * fma(y, x, Floats(1));
}

// log(1 + x) for x in [0, 2^20], also where 1 + x rounds: what it lost comes back to first order.
DGF_INLINE Floats log1p_positive(const Floats& x) {
  const Floats sum = x + Floats(1);
  return log_normal(sum) + (x - (sum - Floats(1))) / sum;
}
