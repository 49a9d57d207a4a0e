// The primitives that the formulas in ops/<op>/math.h call, for one float or double (CUDA, emulator, tests).
// common/vector_math.h has the same names for 16 lanes.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "host_device.h"

namespace dgf {

DGF_HOST_DEVICE float fma(float a, float b, float c) { return ::fmaf(a, b, c); }
DGF_HOST_DEVICE double fma(double a, double b, double c) { return ::fma(a, b, c); }

DGF_HOST_DEVICE float exp(float x) { return ::expf(x); }
DGF_HOST_DEVICE double exp(double x) { return ::exp(x); }

DGF_HOST_DEVICE float tanh(float x) { return ::tanhf(x); }
DGF_HOST_DEVICE double tanh(double x) { return ::tanh(x); }

DGF_HOST_DEVICE float log(float x) { return ::logf(x); }
DGF_HOST_DEVICE double log(double x) { return ::log(x); }

// log of a positive normal number.
DGF_HOST_DEVICE float log_normal(float x) { return ::logf(x); }

// log(1 + x) for x in [0, 1].
DGF_HOST_DEVICE float log1p_unit(float x) { return ::log1pf(x); }
DGF_HOST_DEVICE double log1p_unit(double x) { return ::log1p(x); }

DGF_HOST_DEVICE float square_root(float x) { return ::sqrtf(x); }
DGF_HOST_DEVICE double square_root(double x) { return ::sqrt(x); }

DGF_HOST_DEVICE float absolute(float x) { return ::fabsf(x); }
DGF_HOST_DEVICE double absolute(double x) { return ::fabs(x); }

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
  return dgf::exp(x > 88.72283f ? 88.72283f : x);
}
DGF_HOST_DEVICE double exp_finite(double x) {
  x = x < -708.396 ? -708.396 : x;
  return dgf::exp(x > 709.782 ? 709.782 : x);
}

// A 32-bit word as a float, rounded to nearest even.
DGF_HOST_DEVICE float to_float(uint32_t word) { return static_cast<float>(word); }

// sin and cos of 2 pi u for u in [0, 1]. Subtracting the nearest quarter turn is exact, so the results keep their
// relative accuracy near their zeros.
DGF_HOST_DEVICE void sincos_turn(float u, float& sine, float& cosine) {
#if defined(__CUDA_ARCH__)
  ::sincospif(2.0f * u, &sine, &cosine);  // the same reduction; sinf would bring one for huge angles along
#else
  const float quarter = ::rintf(u * 4.0f);
  const float angle = fma(quarter, -0.25f, u) * 6.28318531f;
  const float s = ::sinf(angle), c = ::cosf(angle);
  const int quadrant = static_cast<int>(quarter) & 3;
  const float swapped_s = (quadrant & 1) ? c : s, swapped_c = (quadrant & 1) ? s : c;
  sine = (quadrant & 2) ? -swapped_s : swapped_s;
  cosine = ((quadrant + 1) & 2) ? -swapped_c : swapped_c;
#endif
}

}  // namespace dgf
