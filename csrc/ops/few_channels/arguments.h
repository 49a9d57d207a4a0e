// What the launcher of the few-channel convolutions hands to the kernels.
#pragma once

#include "cpu/kernels.h"

namespace dgf {

// A small image of many channels (a) and a large one of few (b), joined by a k x k kernel: pixel (y, x) of the small
// one meets pixels (y * stride - padding + ky, x * stride - padding + kx) of the large one.
struct FewChannelsShape {
  int64_t batch, a, b, h, w, large_h, large_w, kernel, stride, padding;

  int64_t taps() const { return kernel * kernel * b; }
  int64_t padded_taps() const { return (taps() + 15) / 16 * 16; }
  int64_t padded_a() const { return (a + 15) / 16 * 16; }
};

struct FewChannelsArguments {
  FewChannelsShape shape;
  // One of them is the output of the convolutions.
  const void *small, *large;
  void* output;
  bool small_channels_last, large_channels_last;
  // Weights in the accumulation type, rows padded with zeros: [a][ky, kx, b], or [ky, kx, b][a].
  const void *taps_of_a, *a_of_taps;
  // In the accumulation type; a transposed convolution has them for every number of an output row.
  const void *scale, *shift;
  int activation;
  double negative_slope;
};

struct FewChannelsKernels {
  const char* name;
  // Rows [begin, end) of an image's output.
  void (*transposed[kElements])(const FewChannelsArguments&, int64_t image, int64_t begin, int64_t end);
  void (*convolution[kElements])(const FewChannelsArguments&, int64_t image, int64_t begin, int64_t end);
  // Sum over rows [begin, end) of the small images, counted through the batch, into [a][padded taps].
  void (*weight_gradient[kElements])(const FewChannelsArguments&, int64_t begin, int64_t end, double* sums);
  // Weights [a][b][ky][kx] into the two packed forms, either of which may be null.
  void (*pack[kElements])(const FewChannelsShape&, const void* weight, void* taps_of_a, void* a_of_taps);
};

const FewChannelsKernels* few_channels_avx2();
const FewChannelsKernels* few_channels_avx512();
const FewChannelsKernels* few_channels_neon();

}  // namespace dgf
