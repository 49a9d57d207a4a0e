#define DGF_ARGUMENTS "ops/reparameterize_kl/arguments.h"
#define DGF_MATH "ops/reparameterize_kl/math.h"
#define DGF_KERNELS "ops/reparameterize_kl/cpu_kernel.h"
#include "cpu/instruction_set.h"

const dgf::ReparameterizeKernels* dgf::DGF_TABLE_OF(reparameterize_kl)() { return DGF_TABLE; }
