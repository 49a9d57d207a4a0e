// What the launchers (compiled once, with torch) and the kernels (compiled once per instruction set, without) share:
// plain argument structs and a table of entry points.
#pragma once

#include <cstdint>

namespace dgf {

struct BFloat16 {
  uint16_t raw;
};
struct Half {
  uint16_t raw;
};

enum class Element : int { kFloat, kDouble, kBFloat16, kHalf };
constexpr int kElements = 4;

enum class TargetKind : int { kSame, kFloat, kByte };

// A tensor of `rows` rows that repeats: row r of the decoder output meets row r % rows.
struct Target {
  const void* data;
  int64_t rows;
  TargetKind kind;
};
struct RowOperand {
  const void* data;  // null when the option is not used
  int64_t rows;
};

// The part of the row view that one call works on. Row sums go to partial[row * chunks + chunk].
struct Span {
  int64_t row_begin, row_end, column_begin, column_end;
  int64_t chunk, chunks;
  double* partial;
};

struct LikelihoodArguments {
  const void* output;  // logits or mean, [rows, columns]
  Target target;
  RowOperand logvar;  // Gaussian only; null data: unit variance
  bool logvar_scalar;
  RowOperand mask;
  int64_t columns;
  // Gradients: incoming, in the accumulation type.
  const void* grad;
  bool grad_elementwise;
  double grad_scale;  // used in place of grad when it is null
  // Outputs; null when not needed. values and grad_target are of the accumulation type.
  void* values;
  void* grad_output;
  void* grad_target;
  void* grad_logvar;      // full rows; for a shared scalar only row sums, through partial
  bool grad_logvar_wide;  // rows still to be summed: of the accumulation type, in place of the input's
};

using LikelihoodKernel = void (*)(const LikelihoodArguments&, const Span&);

// One likelihood's kernels, for one instruction set.
struct LikelihoodKernels {
  const char* name;                                  // of the set
  LikelihoodKernel values[kElements];                // row sums, or values
  LikelihoodKernel gradients[kElements];             // gradients
  LikelihoodKernel values_and_gradients[kElements];  // row sums and gradients in one pass
};

// Name of the best instruction set that this processor runs, or of the one forced by DEEPGEN_FAST_ISA; null when there
// is none.
const char* instruction_set();

}  // namespace dgf
