#define DGF_ARGUMENTS "ops/batch_norm_act/arguments.h"
#define DGF_MATH "ops/batch_norm_act/math.h"
#define DGF_KERNELS "ops/batch_norm_act/cpu_kernel.h"
#include "cpu/instruction_set.h"

const dgf::BatchNormKernels* dgf::DGF_TABLE_OF(batch_norm)() { return DGF_TABLE; }
