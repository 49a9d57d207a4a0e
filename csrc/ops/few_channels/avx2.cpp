#define DGF_AVX2
#define DGF_ARGUMENTS "../ops/few_channels/arguments.h"
#define DGF_MATH "../common/activation.h"
#define DGF_KERNELS "../ops/few_channels/cpu_kernel.h"
#include "../../cpu/instruction_set.h"

const dgf::FewChannelsKernels* dgf::few_channels_avx2() { return DGF_TABLE; }
