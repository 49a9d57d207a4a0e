#define DGF_ARGUMENTS "ops/few_channels/arguments.h"
#define DGF_MATH "math/activation.h"
#define DGF_KERNELS "ops/few_channels/cpu_kernel.h"
#include "cpu/instruction_set.h"

const dgf::FewChannelsKernels* dgf::DGF_TABLE_OF(few_channels)() { return DGF_TABLE; }
