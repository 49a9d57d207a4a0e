#define DGF_NEON
#define DGF_ARGUMENTS "../ops/batch_norm_act/arguments.h"
#define DGF_MATH "../ops/batch_norm_act/math.h"
#define DGF_KERNELS "../ops/batch_norm_act/cpu_kernel.h"
#include "../../cpu/instruction_set.h"

const dgf::BatchNormKernels* dgf::batch_norm_neon() { return DGF_TABLE; }
