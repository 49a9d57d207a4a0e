// The convolutions of one instruction set, see cpu/instruction_set.h.

// clang-format off: the order matters
#include "ops/convolution/filtering.h"
#include "ops/convolution/product.h"
#include "ops/convolution/geometry.h"
#include "ops/convolution/weights.h"
#include "ops/convolution/images.h"
#include "ops/convolution/weight_gradient.h"
#include "ops/convolution/transpose.h"
// clang-format on

#define DGF_EACH_ELEMENT(entry) {entry<float>, entry<double>, entry<BFloat16>, nullptr}

static const ConvolutionKernels kTable = {
    DGF_SET_NAME,
    {RegisterTile<Floats>::kRows, RegisterTile<Doubles>::kRows, RegisterTile<Floats>::kRows, 0},
    {RegisterTile<Floats>::kVectors * kLanes, RegisterTile<Doubles>::kVectors * kLanes,
     RegisterTile<Floats>::kVectors * kLanes, 0},
    DGF_EACH_ELEMENT(conv_transpose2d_task),
    DGF_EACH_ELEMENT(conv2d_task),
    DGF_EACH_ELEMENT(conv2d_weight_gradient_task),
    {ImageWork<float>::workspace, ImageWork<double>::workspace, ImageWork<BFloat16>::workspace, nullptr},
    {WeightWork<float>::workspace, WeightWork<double>::workspace, WeightWork<BFloat16>::workspace, nullptr},
    transpose_columns,
};
