// What the launcher of batch_norm_act hands to the kernels.
#pragma once

#include "cpu/kernels.h"

namespace dgf {

// Channels last, memory is rows of `width` elements: so many whole pixels that a row is a multiple of the lanes, and
// parameters are repeated likewise, one an element of the row. Contiguous, a row is one channel's plane, or a piece of
// it, and its parameters stand 16 times, once a lane.
struct ChannelRows {
  bool channels_last;
  int64_t width;
};

// Some whole rows; the last of a channels-last tensor may be shorter than the others.
struct Segment {
  int64_t begin, end;  // elements
  int64_t parameter;   // where the first row's parameters stand
};

// Parameter arrays are of the accumulation type.
struct BatchNormArguments {
  ChannelRows rows;
  const void* input;
  const void* grad_output;
  void* output;  // or the input's gradient
  int activation;
  double negative_slope;
  const void *mean, *scale, *bias;
  const void *grad_mean, *projection;  // null where mean and invstd are no functions of the input
};

// Sums over a segment, one an element of the row (channels last) or a lane.
struct ChannelSums {
  double *first, *second;
};

struct BatchNormKernels {
  const char* name;
  // Sums of (x - pivot) and of its square; pivot stands like a parameter.
  void (*moments[kElements])(const ChannelRows&, const void* input, const double* pivot, const Segment&,
                             const ChannelSums&);
  void (*forward[kElements])(const BatchNormArguments&, const Segment&);
  // Sums of g and of g * (x - mean), g being the gradient of the activation's argument.
  void (*backward_sums[kElements])(const BatchNormArguments&, const Segment&, const ChannelSums&);
  void (*backward[kElements])(const BatchNormArguments&, const Segment&);
};

const BatchNormKernels* batch_norm_avx2();
const BatchNormKernels* batch_norm_avx512();
const BatchNormKernels* batch_norm_neon();

}  // namespace dgf
