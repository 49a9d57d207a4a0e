#define DGF_AVX512
#define DGF_ARGUMENTS "../ops/minibatch_discrimination/arguments.h"
#define DGF_MATH "../ops/minibatch_discrimination/math.h"
#define DGF_KERNELS "../ops/minibatch_discrimination/cpu_kernel.h"
#include "../../cpu/instruction_set.h"

const dgf::MinibatchKernels* dgf::minibatch_avx512() { return DGF_TABLE; }
