"""CUDA kernels, run by the SIMT emulator."""

from mutants.fault import Fault

_OPS, _CUDA = "csrc/ops", "csrc/cuda"

FAULTS = (
    Fault(
        f"{_CUDA}/rows.cuh",
        "    if (lane == 0 && unit < summed)\n",
        "    if (lane == 0)\n",
        "tests/cuda/test_accuracy.py tests/cuda/test_public_operators.py",
    ),
    Fault(
        f"{_CUDA}/rows.cuh",
        "const int64_t end = min(begin + plan.segment_size, plan.columns);",
        "const int64_t end = begin + plan.segment_size;",
        "tests/cuda/test_accuracy.py tests/cuda/test_public_operators.py",
    ),
    Fault(
        f"{_OPS}/reparameterize_kl/kernels.cuh",
        "std_grad[i] += incoming[i] * draw[i];",
        "std_grad[i] = incoming[i] * draw[i];",
        "tests/cuda/test_accuracy.py tests/cuda/test_public_operators.py",
    ),
    Fault(
        f"{_OPS}/batch_norm_act/kernels.cuh",
        "load<Vectorized>(sums + row_length + channel, valid, product);",
        "load<Vectorized>(sums + channel, valid, product);",
        "tests/cuda/test_batch_norm_act.py",
    ),
    Fault(
        f"{_OPS}/negative_elbo/kernels.cuh",
        "incoming[i] = means[i] >= free_bits ? row.weight : C(0);",
        "incoming[i] = row.weight;",
        "tests/cuda/test_public_operators.py tests/cuda/test_accuracy.py",
    ),
    Fault(
        f"{_OPS}/minibatch_discrimination/kernels.cuh",
        "return other < batch && other != example;",
        "return other != example;",
        "tests/cuda/test_accuracy.py tests/cuda/test_public_operators.py",
    ),
    Fault(
        f"{_OPS}/few_channels/kernels.cuh",
        "      if (small_column >= images.small_width) continue;\n",
        "",
        "tests/cuda/test_convolution.py",
    ),
    Fault(
        f"{_OPS}/batch_norm_act/channels.cuh",
        "pivot[i] = values[i] - values[i] == C(0) ? values[i] : C(0);",
        "pivot[i] = C(0);",
        "tests/cuda/test_batch_norm_act.py",
    ),
    Fault(
        f"{_OPS}/batch_norm_act/kernels.cuh",
        "const int64_t at = row * row_length + channel;\n    C values[N];\n"
        "    load<Vectorized>(input + at, valid, values);\n"
        "#pragma unroll\n    for (int i = 0; i < N; ++i)\n      values[i] = batch_norm_argument",
        "const int at = static_cast<int>(row * row_length + channel);\n    C values[N];\n"
        "    load<Vectorized>(input + at, valid, values);\n"
        "#pragma unroll\n    for (int i = 0; i < N; ++i)\n      values[i] = batch_norm_argument",
        "tests/guard_pages/test_large.py -k emulated -m slow",
    ),
)
