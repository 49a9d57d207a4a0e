// Winograd filtering, F(4, r): the transforms of r taps on 4 outputs along an axis (Cook-Toom, last point at infinity),
// for the host and the device.
//
// With n = 4 + r - 1, y = A' [(G g) * (B' d)]: A' [4, n], G [n, r], B' [n, n]; in two dimensions a matrix an axis:
//   V = B' x B     U = G w G'     y = A' (V U) A     Z = A dy A'     dw = G' (Z V) G
#pragma once

#include <type_traits>
#include <utility>

#include "math/scalar_math.h"

namespace dgf::cuda {

inline constexpr int kOutputs = 4;  // of a tile, along an axis

template <int r>
struct Points;
template <>
struct Points<2> {
  static constexpr double value[] = {0.0, 1.0, -1.0, 2.0};
};
// 1/2 and -2 in place of +-2: float32 loses a third less.
template <>
struct Points<3> {
  static constexpr double value[] = {0.0, 1.0, -1.0, 0.5, -2.0};
};

template <int r>
struct CookToom {
  static constexpr int n = kOutputs + r - 1;
  double output[kOutputs][n] = {}, weight[n][r] = {}, input[n][n] = {};

  constexpr CookToom() {
    const auto& points = Points<r>::value;
    for (int i = 0; i < n - 1; ++i) {
      double power = 1.0, differences = 1.0;
      for (int j = 0; j < kOutputs || j < r; ++j, power *= points[i]) {
        if (j < kOutputs) output[j][i] = power;
        if (j < r) weight[i][j] = power;
      }
      for (int j = 0; j < n - 1; ++j)
        if (j != i) differences *= points[i] - points[j];
      for (int j = 0; j < r; ++j) weight[i][j] /= differences;
    }
    output[kOutputs - 1][n - 1] = weight[n - 1][r - 1] = 1.0;
    // Row i has the coefficients of the product of (x - point) over the other points; the last row, over all.
    for (int i = 0; i < n; ++i) {
      input[i][0] = 1.0;
      for (int j = 0, degree = 0; j < n - 1; ++j) {
        if (j == i) continue;
        ++degree;
        for (int k = degree; k >= 0; --k)
          input[i][k] = (k > 0 ? input[i][k - 1] : 0.0) - points[j] * (k < degree ? input[i][k] : 0.0);
      }
    }
  }
};

// One tap: the products are the outputs.
template <>
struct CookToom<1> {
  static constexpr int n = kOutputs;
  double output[n][n] = {}, weight[n][1] = {}, input[n][n] = {};

  constexpr CookToom() {
    for (int i = 0; i < n; ++i) output[i][i] = weight[i][0] = input[i][i] = 1.0;
  }
};

template <int r>
inline constexpr int kProducts = CookToom<r>::n;

// Matrices that are applied along an axis, as floats. Kernels take a local constexpr copy, and unroll the loops over
// it: so the numbers end up in the instructions, and zeros cost nothing.
template <int rows_, int columns_>
struct Matrix {
  static constexpr int rows = rows_, columns = columns_;
  float at[rows][columns] = {};

  constexpr Matrix<columns, rows> transposed() const {
    Matrix<columns, rows> result;
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j) result.at[j][i] = at[i][j];
    return result;
  }
};

template <int rows, int columns>
constexpr Matrix<rows, columns> rounded(const double (&values)[rows][columns]) {
  Matrix<rows, columns> result;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) result.at[i][j] = static_cast<float>(values[i][j]);
  return result;
}

// Each names one matrix of F(4, r): To... leads from the space's numbers to the products', From... back.
template <int r>
struct ToInput {  // B'
  static constexpr auto matrix() { return rounded(CookToom<r>().input); }
};
template <int r>
struct FromOutput {  // A'
  static constexpr auto matrix() { return rounded(CookToom<r>().output); }
};
template <int r>
struct ToOutput {  // A
  static constexpr auto matrix() { return FromOutput<r>::matrix().transposed(); }
};
template <int r>
struct ToWeight {  // G
  static constexpr auto matrix() { return rounded(CookToom<r>().weight); }
};
template <int r>
struct FromWeight {  // G'
  static constexpr auto matrix() { return ToWeight<r>::matrix().transposed(); }
};

template <class Named>
inline constexpr int kRows = decltype(Named::matrix())::rows;
template <class Named>
inline constexpr int kColumns = decltype(Named::matrix())::columns;

// Calls visit(std::integral_constant<int, 0>), ... count - 1: a loop whose index is known at compile time. Where loops
// that nvcc has yet to unroll index an array, it compiles the larger transforms ten times as long.
template <class Visitor, int... i>
DGF_HOST_DEVICE void unrolled(const Visitor& visit, std::integer_sequence<int, i...>) {
  (visit(std::integral_constant<int, i>{}), ...);
}
template <int count, class Visitor>
DGF_HOST_DEVICE void unrolled(const Visitor& visit) {
  unrolled(visit, std::make_integer_sequence<int, count>{});
}

// Where the first factor of a matrix row stands that is not zero.
template <class Named>
constexpr int first_term(int row) {
  const auto matrix = Named::matrix();
  int p = 0;
  while (matrix.at[row][p] == 0.0f) ++p;
  return p;
}

// One term of sum = row i of the matrix times x, for N channels: the first sets the sum, a factor of 0 leaves it alone.
template <class Named, int i, int p, int N>
DGF_HOST_DEVICE void term(const float (&x)[N], float (&sum)[N]) {
  constexpr float factor = Named::matrix().at[i][p];
#pragma unroll
  for (int c = 0; c < N; ++c) {
    if constexpr (p == first_term<Named>(i)) {
      sum[c] = factor * x[c];
    } else if constexpr (factor != 0.0f) {
      sum[c] = fma(factor, x[c], sum[c]);
    }
  }
}

// sum = row i of the matrix times a line x, or times column q of a tile x.
template <class Named, int i, int N>
DGF_HOST_DEVICE void combine(const float (&x)[kColumns<Named>][N], float (&sum)[N]) {
  unrolled<kColumns<Named>>([&](auto p) { term<Named, i, p()>(x[p()], sum); });
}
template <class Named, int i, int q, int S, int N>
DGF_HOST_DEVICE void combine_column(const float (&x)[kColumns<Named>][S][N], float (&sum)[N]) {
  unrolled<kColumns<Named>>([&](auto p) { term<Named, i, p()>(x[p()][q], sum); });
}

// Row i of Rows x, of N channels.
template <class Rows, int i, int S, int N>
DGF_HOST_DEVICE void expand_rows(const float (&x)[kColumns<Rows>][S][N], float (&line)[S][N]) {
  unrolled<S>([&](auto q) { combine_column<Rows, i, q()>(x, line[q()]); });
}

// A line times Columns', number by number: write(result).
template <class Columns, int N, class Write>
DGF_HOST_DEVICE void expand_columns(const float (&line)[kColumns<Columns>][N], const Write& write) {
  unrolled<kRows<Columns>>([&](auto j) {
    float result[N];
    combine<Columns, j()>(line, result);
    write(result);
  });
}

// Rows x Columns' for x of N channels, few numbers to many: write(result), row by row.
template <class Rows, class Columns, int N, class Write>
DGF_HOST_DEVICE void expand(const float (&x)[kColumns<Rows>][kColumns<Columns>][N], const Write& write) {
  unrolled<kRows<Rows>>([&](auto i) {
    float line[kColumns<Columns>][N];
    expand_rows<Rows, i()>(x, line);
    expand_columns<Columns>(line, write);
  });
}

// y + Rows x Columns', many numbers to few, which come row by row: read(p, line).
template <class Rows, class Columns, int N, class Read>
DGF_HOST_DEVICE void contract(const Read& read, float (&y)[kRows<Rows>][kRows<Columns>][N]) {
  unrolled<kColumns<Rows>>([&](auto p) {
    float line[kColumns<Columns>][N];
    read(p(), line);
    unrolled<kRows<Columns>>([&](auto j) {
      float across[N];
      combine<Columns, j()>(line, across);
      unrolled<kRows<Rows>>([&](auto i) {
        constexpr float factor = Rows::matrix().at[i()][p()];
        if constexpr (factor != 0.0f)
#pragma unroll
          for (int c = 0; c < N; ++c) y[i()][j()][c] = fma(factor, across[c], y[i()][j()][c]);
      });
    });
  });
}

}  // namespace dgf::cuda
