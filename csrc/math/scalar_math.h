// The primitives that the formulas in ops/<op>/math.h call, for one float or double (CUDA, emulator, tests).
// cpu/vector_math.h has the same names for 16 lanes, ops/triton_math.py for Triton's blocks.
//
// exp, log and sine of a float are polynomials of explicit fused multiply-adds: CUDA's own are off by one unit in the
// last place here and there, and three of them in a row by more than the two units that backends may differ by. So the
// emulator computes what the GPU does. double takes the library's functions.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "math/host_device.h"

namespace dgf {

DGF_HOST_DEVICE float fma(float a, float b, float c) { return ::fmaf(a, b, c); }
DGF_HOST_DEVICE double fma(double a, double b, double c) { return ::fma(a, b, c); }

DGF_HOST_DEVICE float from_bits(int32_t bits) { return std::bit_cast<float>(bits); }
DGF_HOST_DEVICE int32_t to_bits(float x) { return std::bit_cast<int32_t>(x); }

// Adding 1.5 * 2^23 rounds to the nearest integer and leaves that integer in the low bits of the sum.
inline constexpr float kRound = 12582912.0f;
inline constexpr int32_t kRoundBits = 0x4b400000, kOneBits = 0x3f800000, kSqrtHalfBits = 0x3f3504f3;
// ln 2 = high + low; n * high is exact for |n| < 2^15, so the range reduction loses nothing.
inline constexpr float kLn2High = 0.693359375f, kLn2Low = -2.1219444005469058e-4f;

// A number as a product: of factors that are finite and not zero where the number itself may overflow or vanish.
template <class V>
struct Factors {
  V one, two;
};

// e^x for x in [-174, 176] or NaN. Two factors, so that 2^128 and 2^-149 are within reach. Without a branch for the
// usual case, which cost more than it spared on a GPU.
DGF_HOST_DEVICE Factors<float> exp_reduced_factors(float x) {
  const float shifted = fma(x, 1.44269504f, kRound), n = shifted - kRound;
  const float high = fma(n, -kLn2High, x), low = n * -kLn2Low, f = high + low;
  float p = fma(f, 0.0013950724f, 0.008369025f);
  p = fma(p, f, 0.041666202f);
  p = fma(p, f, 0.16666518f);
  p = fma(p, f, 0.5f);
  // 1 + high, exact as they are, in two parts: only the last sum rounds by much (0.8 ulp in all).
  const float sum = 1.0f + high;
  p = sum + ((high - (sum - 1.0f)) + fma(p * f, f, low));
  const int32_t exponent = to_bits(shifted) - kRoundBits, half = exponent >> 1;
  return {p * from_bits((half + 127) << 23), from_bits((exponent - half + 127) << 23)};
}
DGF_HOST_DEVICE float exp_reduced(float x) {
  const Factors<float> e = exp_reduced_factors(x);
  return e.one * e.two;
}

// NaN passes every comparison here.
DGF_HOST_DEVICE float exp(float x) {
  x = x < -104.0f ? -104.0f : x;
  return exp_reduced(x > 89.0f ? 89.0f : x);
}
DGF_HOST_DEVICE double exp(double x) { return ::exp(x); }

DGF_HOST_DEVICE float tanh(float x) { return ::tanhf(x); }
DGF_HOST_DEVICE double tanh(double x) { return ::tanh(x); }

// log(1 + f) - f for f in [sqrt(1/2) - 1, sqrt(2) - 1].
DGF_HOST_DEVICE float log1p_tail(float f) {
  float p = fma(f, 0.06915368f, -0.11789808f);
  p = fma(p, f, 0.11872976f);
  p = fma(p, f, -0.12384348f);
  p = fma(p, f, 0.14218658f);
  p = fma(p, f, -0.16669251f);
  p = fma(p, f, 0.20002227f);
  p = fma(p, f, -0.24999987f);
  p = fma(p, f, 0.3333331f);
  const float square = f * f;
  return fma(p * f, square, -0.5f * square);
}

// log of a positive normal number.
DGF_HOST_DEVICE float log_normal(float x) {
  // Adding the distance from sqrt(1/2) to 1 makes the exponent field that of the nearest power of two.
  const int32_t bits = to_bits(x) + (kOneBits - kSqrtHalfBits);
  const float n = static_cast<float>((bits >> 23) - 127);
  const float f = from_bits((bits & 0x007fffff) + kSqrtHalfBits) - 1.0f;
  return fma(n, kLn2High, f + fma(n, kLn2Low, log1p_tail(f)));
}

DGF_HOST_DEVICE float log(float x) {
  const bool small = x < 1.17549435e-38f;
  float y = log_normal(small ? x * 8388608.0f : x) - (small ? 15.9423852f : 0.0f);
  y = x == 0.0f ? -std::numeric_limits<float>::infinity() : y;
  y = x == std::numeric_limits<float>::infinity() ? x : y;
  return x >= 0.0f ? y : std::numeric_limits<float>::quiet_NaN();
}
DGF_HOST_DEVICE double log(double x) { return ::log(x); }

// log(1 + x) for x in [0, 1]; ln 2 + log(1 + f) beyond sqrt(2) - 1.
DGF_HOST_DEVICE float log1p_unit(float x) {
  const bool large = x > 0.41421356f;
  const float f = large ? fma(x, 0.5f, -0.5f) : x;
  const float lost = large ? fma(x, 0.5f, -(f + 0.5f)) : 0.0f;  // x has a bit more than f holds
  const float high = large ? kLn2High : 0.0f, low = large ? kLn2Low : 0.0f;
  const float sum = high + f;
  return sum + ((f - (sum - high)) + fma(lost, 1.0f - f, log1p_tail(f) + low));
}
DGF_HOST_DEVICE double log1p_unit(double x) { return ::log1p(x); }

DGF_HOST_DEVICE float square_root(float x) { return ::sqrtf(x); }
DGF_HOST_DEVICE double square_root(double x) { return ::sqrt(x); }

DGF_HOST_DEVICE float absolute(float x) { return ::fabsf(x); }
DGF_HOST_DEVICE double absolute(double x) { return ::fabs(x); }

// 1 / x for x in [1, 2]: on a GPU the fast quotient after one Newton step.
DGF_HOST_DEVICE float reciprocal_unit(float x) {
#if defined(__CUDA_ARCH__)
  float first;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(first) : "f"(x));
  return fma(first, fma(-x, first, 1.0f), first);
#else
  return 1.0f / x;
#endif
}
DGF_HOST_DEVICE double reciprocal_unit(double x) { return 1.0 / x; }

template <class V>
DGF_HOST_DEVICE V select(bool condition, V yes, V no) {
  return condition ? yes : no;
}
DGF_HOST_DEVICE bool both(bool a, bool b) { return a && b; }

// min(x, 0) and max(x, 0), NaN staying NaN.
DGF_HOST_DEVICE float negative_part(float x) { return x > 0.0f ? 0.0f : x; }
DGF_HOST_DEVICE double negative_part(double x) { return x > 0.0 ? 0.0 : x; }
DGF_HOST_DEVICE float positive_part(float x) { return x < 0.0f ? 0.0f : x; }
DGF_HOST_DEVICE double positive_part(double x) { return x < 0.0 ? 0.0 : x; }

// The largest finite number in place of infinity; NaN stays NaN.
DGF_HOST_DEVICE float below_infinity(float x) { return x > 3.402823466e38f ? 3.402823466e38f : x; }
DGF_HOST_DEVICE double below_infinity(double x) { return x > 1.7976931348623157e308 ? 1.7976931348623157e308 : x; }

// exp kept between the smallest normal and the largest finite number, so that 0 * exp_finite(x) is never NaN.
DGF_HOST_DEVICE float exp_finite(float x) {
  x = x < -87.33654f ? -87.33654f : x;
  return exp_reduced(x > 88.72283f ? 88.72283f : x);
}
DGF_HOST_DEVICE double exp_finite(double x) {
  x = x < -708.396 ? -708.396 : x;
  return dgf::exp(x > 709.782 ? 709.782 : x);
}

// e^x in factors, saturated where the square of any number times e^x is infinite or next to nothing: 0 times both is 0,
// and what is finite comes out though e^x itself is not.
DGF_HOST_DEVICE Factors<float> exp_factors(float x) {
  x = x < -174.0f ? -174.0f : x;
  return exp_reduced_factors(x > 176.0f ? 176.0f : x);
}
DGF_HOST_DEVICE double clamp(double x, double bound) { return x < -bound ? -bound : x > bound ? bound : x; }
DGF_HOST_DEVICE Factors<double> exp_factors(double x) {
  const double usual = clamp(x, 700.0);
  return {dgf::exp(usual), dgf::exp(clamp(x - usual, 700.0))};
}

// A 32-bit word as a float, rounded to nearest even.
DGF_HOST_DEVICE float to_float(uint32_t word) { return static_cast<float>(word); }

// sin and cos of 2 pi u for u in [0, 1]: quarter turns come off exactly, then polynomials in turns. The leading terms
// carry their rounding errors along (0.7 and 0.6 ulp), so that noise stays within 2 ulp of the reference.
DGF_HOST_DEVICE void sincos_turn(float u, float& sine, float& cosine) {
  const float shifted = fma(u, 4.0f, kRound);
  const float turn = fma(shifted - kRound, -0.25f, u), square = turn * turn;
  float s = fma(square, 41.4858512878418f, -76.69832611083984f);
  s = fma(s, square, 81.60520935058594f);
  s = fma(s, square, -41.34170150756836f);
  s = fma(s, square, -1.7484555e-7f);  // what 2 pi lacks in float
  s = fma(turn, 6.28318548f, s * turn);
  float c = fma(square, 59.24293518066406f, -85.44364166259766f);
  c = fma(c, square, 64.93932342529297f);
  c = fma(c, square, -4.6930372e-7f);
  const float lead = -19.739208221435547f;
  const float high = fma(square, lead, 1.0f);
  const float low = fma(fma(turn, turn, -square), lead, fma(square, lead, 1.0f - high));
  c = high + fma(c, square, low);
  const int32_t quarter = to_bits(shifted);
  const bool odd = (quarter & 1) != 0;
  // The sign bit of the sine is bit 1 of the quarter; of the cosine, bit 1 of the next quarter.
  sine = from_bits(to_bits(odd ? c : s) ^ static_cast<int32_t>(static_cast<uint32_t>(quarter & 2) << 30));
  cosine = from_bits(to_bits(odd ? s : c) ^ static_cast<int32_t>(static_cast<uint32_t>((quarter + 1) & 2) << 30));
}

}  // namespace dgf
