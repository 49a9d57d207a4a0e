// What the launchers of the convolutions (compiled once, with torch) and their kernels (compiled once per instruction
// set, without) share.
#pragma once

#include <cstdint>

#include "cpu/kernels.h"

namespace dgf {

// The pair that a convolution maps between: a small image [batch, A, h, w] and a large one [batch, B, H, W], both
// channels-last in memory, with a weight [A, B, kernel, kernel]. A transposed convolution maps small to large, a
// convolution large to small; large pixel stride * i + k - padding meets small pixel i through tap k.
struct ConvolutionShape {
  int64_t batch, small_channels, large_channels;
  int64_t small_height, small_width, large_height, large_width;
  int kernel, stride, padding;
};

// What is done to each output element: activation(convolution * scale[channel] + shift[channel]).
struct Epilogue {
  const void* scale;  // of the accumulation type, per output channel; null: 1
  const void* shift;  // null: 0
  int activation;
  double negative_slope;
  double* statistics;  // [chunks of kStatisticsTiles tiles, 3, output channels]; null: not wanted
};

// Tiles whose statistics are added up together: a fixed number, so that the result does not depend on the threads.
constexpr int64_t kStatisticsTiles = 32;

struct ConvolutionArguments {
  ConvolutionShape shape;
  const void* small;
  const void* large;
  const void* weight;
  void* output;  // the large image, the small image or the weight gradient
  Epilogue epilogue;
};

// How much of the product is in the cache at once. One tile gives 4 x 4 outputs of each phase.
struct Blocks {
  int64_t inputs;        // channels whose transformed windows are kept
  int64_t outputs;       // channels whose products are kept
  int64_t depth;         // channels (tiles, for the weight gradient) added up in registers
  int64_t columns;       // output channels whose transformed weights are kept
  bool phases_together;  // of a transposed convolution: products of all phases are kept, not of one after the other
};

// A part of the work: of tiles by output channels for the images, of small by large channels for the weight gradient.
struct ConvolutionTask {
  int64_t row_begin, row_end, column_begin, column_end;
  void* workspace;
};

using ConvolutionKernel = void (*)(const ConvolutionArguments&, const Blocks&, const ConvolutionTask&);
using WorkspaceBytes = int64_t (*)(const ConvolutionShape&, const Blocks&, int64_t rows, int64_t columns);

struct ConvolutionKernels {
  const char* name;
  int64_t rows[kElements], panel[kElements];  // shape of the product's register tile
  ConvolutionKernel conv_transpose2d[kElements], conv2d[kElements], conv2d_weight_gradient[kElements];
  WorkspaceBytes image_workspace[kElements], weight_workspace[kElements];
  // Columns [begin, end) of a matrix of floats, to rows of another.
  void (*transpose)(const float* from, int64_t rows, int64_t columns, int64_t begin, int64_t end, float* to);
};

const ConvolutionKernels* convolution_avx2();
const ConvolutionKernels* convolution_avx512();
const ConvolutionKernels* convolution_neon();

}  // namespace dgf
