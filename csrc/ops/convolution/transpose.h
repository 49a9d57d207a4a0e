// Matrices of floats transposed: an image in one memory format is a matrix of channels by pixels, in the other of
// pixels by channels. Included once per instruction set, inside its namespace.

// 16 rows of 16 columns, through registers; what is written are whole lines.
DGF_INLINE void transpose_square(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  Floats row[kLanes];
#pragma GCC unroll 16
  for (int r = 0; r < kLanes; ++r) load_vector(from + r * from_stride, row[r]);
#pragma GCC unroll 4
  for (int r = 0; r < kLanes; r += 4) transpose_quads(row[r], row[r + 1], row[r + 2], row[r + 3]);
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c)
    store_quads(row[c], row[4 + c], row[8 + c], row[12 + c], to + c * to_stride, 4 * to_stride);
}

static void transpose_columns(const float* from, int64_t rows, int64_t columns, int64_t begin, int64_t end, float* to) {
  for (int64_t row = 0; row < rows; row += kLanes)
    for (int64_t column = begin; column < end; column += kLanes) {
      const int64_t row_end = row + kLanes < rows ? row + kLanes : rows;
      const int64_t column_end = column + kLanes < end ? column + kLanes : end;
      if (row_end - row == kLanes && column_end - column == kLanes) {
        transpose_square(from + row * columns + column, columns, to + column * rows + row, rows);
        continue;
      }
      for (int64_t c = column; c < column_end; ++c)
        for (int64_t r = row; r < row_end; ++r) to[c * rows + r] = from[r * columns + c];
    }
}
