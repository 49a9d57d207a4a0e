// The convolutions of one instruction set: included by avx2.cpp, avx512.cpp and neon.cpp inside their namespace.

#define DGF_LAMBDA_INLINE __attribute__((always_inline))

// clang-format off: the order matters
#include "../../cpu/vector.h"
#include "../../cpu/vector_math.h"
#include "../../cpu/lanes.h"
#include "filtering.h"
#include "product.h"
#include "geometry.h"
#include "weights.h"
#include "images.h"
#include "weight_gradient.h"
#include "transpose.h"
// clang-format on

#define DGF_EACH_ELEMENT(entry) {entry<float>, entry<double>, entry<BFloat16>, nullptr}

static const ConvolutionKernels kConvolutions = {
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
