#define DGF_ARGUMENTS "ops/convolution/arguments.h"
#define DGF_MATH "math/activation.h"
#define DGF_KERNELS "ops/convolution/kernel_table.h"
#include "cpu/instruction_set.h"

const dgf::ConvolutionKernels* dgf::DGF_TABLE_OF(convolution)() { return DGF_TABLE; }
