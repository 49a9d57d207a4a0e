#define DGF_NEON
#define DGF_ARGUMENTS "../ops/minibatch_discrimination/arguments.h"
#define DGF_MATH "../ops/minibatch_discrimination/math.h"
#define DGF_KERNELS "../ops/minibatch_discrimination/cpu_kernel.h"
#include "../../cpu/instruction_set.h"

const dgf::MinibatchKernels* dgf::minibatch_neon() { return DGF_TABLE; }
