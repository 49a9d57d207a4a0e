#define DGF_ARGUMENTS "ops/minibatch_discrimination/arguments.h"
#define DGF_MATH "ops/minibatch_discrimination/math.h"
#define DGF_KERNELS "ops/minibatch_discrimination/cpu_kernel.h"
#include "cpu/instruction_set.h"

const dgf::MinibatchKernels* dgf::DGF_TABLE_OF(minibatch)() { return DGF_TABLE; }
