// What the launcher of minibatch discrimination hands to the kernels.
#pragma once

#include "cpu/kernels.h"

namespace dgf {

// Kernels are computed 16 at a time, side by side in the lanes of a vector: group g holds kernels [16 g, 16 g + 16).
constexpr int64_t kKernelLanes = 16;
// Pairs of examples are walked in tiles, whose sums are single precision; sums of tiles are double.
constexpr int64_t kTileRows = 16, kTileColumns = 8;

struct MinibatchArguments {
  const void* features;  // [batch, kernels, dims]
  int64_t batch, kernels, dims;
  bool include_self;
  // Of the sums, [batch, kernels], in the accumulation type.
  const void* grad;
};

struct MinibatchKernels {
  const char* name;
  // Examples [begin, end) of a group into [batch][dims][16] of the accumulation type; lanes without a kernel are zero.
  void (*pack[kElements])(const MinibatchArguments&, int64_t group, int64_t begin, int64_t end, void* packed);
  // The pairs of one part of a group's tiles: [batch][16] sums of similarities.
  void (*similarities[kElements])(const MinibatchArguments&, const void* packed, int64_t part, int64_t parts,
                                  double* sums);
  // The same walk: [batch][dims][16] gradients of the features.
  void (*gradients[kElements])(const MinibatchArguments&, int64_t group, const void* packed, int64_t part,
                               int64_t parts, double* sums);
  // Gradients of a group, its parts added in order, into [batch, kernels, dims].
  void (*unpack[kElements])(const MinibatchArguments&, int64_t group, const double* sums, int64_t parts,
                            void* grad_features);
};

const MinibatchKernels* minibatch_avx2();
const MinibatchKernels* minibatch_avx512();
const MinibatchKernels* minibatch_neon();

}  // namespace dgf
