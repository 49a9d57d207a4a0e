#define DGF_ARGUMENTS "ops/bernoulli_log_likelihood/arguments.h"
#define DGF_MATH "ops/bernoulli_log_likelihood/math.h"
#define DGF_KERNELS "ops/bernoulli_log_likelihood/cpu_kernel.h"
#include "cpu/instruction_set.h"

const dgf::LikelihoodKernels* dgf::DGF_TABLE_OF(bernoulli)() { return DGF_TABLE; }
