#define DGF_ARGUMENTS "ops/gaussian_log_likelihood/arguments.h"
#define DGF_MATH "ops/gaussian_log_likelihood/math.h"
#define DGF_KERNELS "ops/gaussian_log_likelihood/cpu_kernel.h"
#include "cpu/instruction_set.h"

const dgf::LikelihoodKernels* dgf::DGF_TABLE_OF(gaussian)() { return DGF_TABLE; }
