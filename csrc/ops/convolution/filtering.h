// Winograd filtering along one axis, F(4, taps): four outputs of a correlation with 1, 2 or 3 taps by 4, 5 or 6 products
// where direct takes 4, 8 or 12 (Winograd 1980; Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural
// Networks"):
//   y[i] = sum_t d[i + t] g[t]  =  output( weight(g) * window(d) )
// Cook-Toom with the points 0, 1, -1, 2, infinity (two taps) and 0, 1, -1, 1/2, -2, infinity (three): small constants,
// errors of 1.2e-6. `tile` is the transpose of `output` and `taps` that of `weight`, for the weight gradient
//   g[t] = sum_i d[i + t] y[i]  =  taps( window(d) * tile(y) ).
// Included once per instruction set, inside its namespace.

constexpr int kTile = 4;  // outputs along an axis

template <int kTaps>
struct Filter;

template <>
struct Filter<1> {
  static constexpr int kProducts = 4;
  template <class V>
  DGF_INLINE void copy(const V* from, V* to, int count) {
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) to[i] = from[i];
  }
  template <class V>
  DGF_INLINE void window(const V* d, V* o) {
    copy(d, o, 4);
  }
  template <class V>
  DGF_INLINE void output(const V* m, V* y) {
    copy(m, y, 4);
  }
  template <class V>
  DGF_INLINE void tile(const V* y, V* z) {
    copy(y, z, 4);
  }
  template <class V>
  DGF_INLINE void weight(const V* g, V* u) {
    u[0] = u[1] = u[2] = u[3] = g[0];
  }
  template <class V>
  DGF_INLINE void taps(const V* m, V* g) {
    g[0] = (m[0] + m[1]) + (m[2] + m[3]);
  }
};

template <>
struct Filter<2> {
  static constexpr int kProducts = 5;
  template <class V>
  DGF_INLINE void window(const V* d, V* o) {
    const V two(2.0);
    const V d31 = d[3] - d[1], d32 = d[3] - d[2];
    o[0] = fma(two, d[0] - d[2], d31);
    o[1] = fma(V(-2.0), d[1], d32);
    o[2] = fma(two, d[1] - d[2], d32);
    o[3] = d31;
    o[4] = fma(V(-2.0), d31, d[4] - d[2]);
  }
  template <class V>
  DGF_INLINE void output(const V* m, V* y) {
    const V sum = m[1] + m[2], difference = m[1] - m[2];
    y[0] = (m[0] + sum) + m[3];
    y[1] = fma(V(2.0), m[3], difference);
    y[2] = fma(V(4.0), m[3], sum);
    y[3] = fma(V(8.0), m[3], difference) + m[4];
  }
  template <class V>
  DGF_INLINE void tile(const V* y, V* z) {
    const V even = y[0] + y[2], odd = y[1] + y[3];
    z[0] = y[0];
    z[1] = even + odd;
    z[2] = even - odd;
    z[3] = fma(V(2.0), fma(V(4.0), y[3], y[1]), fma(V(4.0), y[2], y[0]));
    z[4] = y[3];
  }
  template <class V>
  DGF_INLINE void weight(const V* g, V* u) {
    const V sixth(1.0 / 6.0);
    u[0] = V(0.5) * g[0];
    u[1] = V(-0.5) * (g[0] + g[1]);
    u[2] = sixth * (g[1] - g[0]);
    u[3] = fma(sixth, g[0], V(1.0 / 3.0) * g[1]);
    u[4] = g[1];
  }
  template <class V>
  DGF_INLINE void taps(const V* m, V* g) {
    const V sixth(1.0 / 6.0);
    g[0] = fma(V(0.5), m[0] - m[1], sixth * (m[3] - m[2]));
    g[1] = fma(V(-0.5), m[1], fma(sixth, m[2], fma(V(1.0 / 3.0), m[3], m[4])));
  }
};

template <>
struct Filter<3> {
  static constexpr int kProducts = 6;
  template <class V>
  DGF_INLINE void window(const V* d, V* o) {
    const V d31 = d[3] - d[1], d42 = d[4] - d[2];
    const V three_halves(1.5), half(0.5), five_halves(2.5), minus_two(-2.0);
    o[0] = fma(three_halves, d31, fma(minus_two, d[2], d[0] + d[4]));
    o[1] = fma(five_halves, d[3], fma(half, d[2], d[4] - d[1]));
    o[2] = fma(V(-2.5), d[2], fma(half, d[3], d[4] + d[1]));
    o[3] = fma(V(2.0), d31, d42);
    o[4] = fma(V(-0.5), d31, d42);
    o[5] = fma(three_halves, d42, fma(minus_two, d[3], d[1] + d[5]));
  }
  template <class V>
  DGF_INLINE void output(const V* m, V* y) {
    const V sum = m[1] + m[2], difference = m[1] - m[2];
    y[0] = (m[0] + sum) + (m[3] + m[4]);
    y[1] = fma(V(0.5), m[3], fma(V(-2.0), m[4], difference));
    y[2] = fma(V(0.25), m[3], fma(V(4.0), m[4], sum));
    y[3] = fma(V(0.125), m[3], fma(V(-8.0), m[4], difference)) + m[5];
  }
  template <class V>
  DGF_INLINE void tile(const V* y, V* z) {
    const V even = y[0] + y[2], odd = y[1] + y[3];
    z[0] = y[0];
    z[1] = even + odd;
    z[2] = even - odd;
    z[3] = fma(V(0.5), fma(V(0.25), y[3], y[1]), fma(V(0.25), y[2], y[0]));
    z[4] = fma(V(-2.0), fma(V(4.0), y[3], y[1]), fma(V(4.0), y[2], y[0]));
    z[5] = y[3];
  }
  template <class V>
  DGF_INLINE void weight(const V* g, V* u) {
    const V third(1.0 / 3.0);
    const V outer = g[0] + g[2];
    u[0] = g[0];
    u[1] = third * (outer + g[1]);
    u[2] = third * (g[1] - outer);
    u[3] = V(-4.0 / 15.0) * fma(V(4.0), g[0], fma(V(2.0), g[1], g[2]));
    u[4] = V(1.0 / 15.0) * fma(V(4.0), g[2], fma(V(-2.0), g[1], g[0]));
    u[5] = g[2];
  }
  template <class V>
  DGF_INLINE void taps(const V* m, V* g) {
    const V third(1.0 / 3.0);
    const V difference = third * (m[1] - m[2]);
    const V m3 = V(4.0 / 15.0) * m[3], m4 = V(1.0 / 15.0) * m[4];
    g[0] = fma(V(-4.0), m3, difference + m4) + m[0];
    g[1] = fma(V(-2.0), m3, fma(V(-2.0), m4, third * (m[1] + m[2])));
    g[2] = fma(V(4.0), m4, difference - m3) + m[5];
  }
};

// One of the five maps of a Filter, along both axes: `rows` x `columns` values to `kRows` x `kColumns`.
// from(i, j) gives a value, to(i, j, value) takes one.
#define DGF_BOTH_AXES(name, IN_Y, IN_X, OUT_Y, OUT_X)                              \
  template <int kY, int kX, class V, class From, class To>                         \
  DGF_INLINE void name##_2d(From from, To to) {                                    \
    constexpr int kInY = IN_Y, kInX = IN_X, kOutY = OUT_Y, kOutX = OUT_X;          \
    V half[kOutY][kInX];                                                           \
    _Pragma("GCC unroll 6") for (int j = 0; j < kInX; ++j) {                       \
      V in[kInY], out[kOutY];                                                      \
      _Pragma("GCC unroll 6") for (int i = 0; i < kInY; ++i) in[i] = from(i, j);   \
      Filter<kY>::name(in, out);                                                   \
      _Pragma("GCC unroll 6") for (int i = 0; i < kOutY; ++i) half[i][j] = out[i]; \
    }                                                                              \
    _Pragma("GCC unroll 6") for (int i = 0; i < kOutY; ++i) {                      \
      V out[kOutX];                                                                \
      Filter<kX>::name(half[i], out);                                              \
      _Pragma("GCC unroll 6") for (int j = 0; j < kOutX; ++j) to(i, j, out[j]);    \
    }                                                                              \
  }
DGF_BOTH_AXES(window, kY + 3, kX + 3, kY + 3, kX + 3)
DGF_BOTH_AXES(output, kY + 3, kX + 3, kTile, kTile)
DGF_BOTH_AXES(tile, kTile, kTile, kY + 3, kX + 3)
DGF_BOTH_AXES(weight, kY, kX, kY + 3, kX + 3)
DGF_BOTH_AXES(taps, kY + 3, kX + 3, kY, kX)
#undef DGF_BOTH_AXES
