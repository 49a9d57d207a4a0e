"""CPU kernels and their launchers, compiled for one instruction set."""

from mutants.fault import Fault

_OPS, _CPU = "csrc/ops", "csrc/cpu"

FAULTS = (
    Fault(
        f"{_CPU}/noise.h",
        "select(lane_example < low_start, Words(high + 1), Words(high))",
        "Words(high)",
        "tests/ops/test_philox_high_words.py",
    ),
    Fault(
        f"{_CPU}/noise.h",
        "Words word3((uint32_t)sample);",
        "Words word3(0u);",
        "tests/properties/test_reparameterize_kl.py",
    ),
    Fault(
        f"{_CPU}/launch.h",
        "for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[row * chunks + chunk];",
        "for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += (float)partial[row * chunks + chunk];",
        "tests/contract/test_long_rows.py",
    ),
    Fault(
        f"{_CPU}/launch.h",
        "constexpr int64_t kChunk = 1 << 15;",
        "constexpr int64_t kChunk = (1 << 15) + 1;",
        "tests/contract/test_noise.py tests/properties/test_reparameterize_kl.py",
    ),
    Fault(
        f"{_CPU}/vector_math.h",
        "DGF_INLINE Floats exp(const Floats& x) { return exp_reduced(clamp(x, -104.0f, 89.0f)); }",
        "DGF_INLINE Floats exp(const Floats& x) { return exp_reduced(clamp(x, -80.0f, 89.0f)); }",
        "tests/contract/test_special_values.py tests/properties -k 'not convolutions'",
    ),
    Fault(
        f"{_CPU}/vector_math.h",
        "  y = select(x == Floats(0), -infinity, y);\n",
        "",
        "tests/contract/test_special_values.py tests/properties/test_reparameterize_kl.py",
    ),
    Fault(
        f"{_OPS}/bernoulli_log_likelihood/math.h",
        "return target - select(logit < V(0), decay * inverse, inverse);",
        "return target - inverse;",
        "tests/contract/test_truth.py -k 'small and bernoulli and cpu'",
    ),
    Fault(
        f"{_OPS}/bernoulli_log_likelihood/cpu_kernel.h",
        "          decay = apply_mask(decay, mask + at, extent);\n",
        "",
        "tests/contract/test_special_values.py -k masked",
    ),
    Fault(
        f"{_OPS}/reparameterize_kl/cpu_kernel.h",
        "const V offset = mean - prior_mean, mean_slope = kl_mean_slope(offset, precision);",
        "const V offset = mean, mean_slope = kl_mean_slope(offset, precision);",
        "tests/contract/test_truth.py -k 'small and prior and cpu'",
    ),
    Fault(
        f"{_OPS}/reparameterize_kl/cpu_kernel.h",
        "const int64_t start = sample * sample_size + row * a.columns;",
        "const int64_t start = row * a.columns;",
        "tests/contract/test_truth.py -k 'small and samples and cpu'",
    ),
    Fault(
        f"{_OPS}/minibatch_discrimination/cpu_kernel.h",
        "auto grad_of = [&](int64_t i) DGF_LAMBDA_INLINE { return load<V>((const A*)a.grad + i * a.kernels + first, "
        "extent); };",
        "auto grad_of = [&](int64_t i) DGF_LAMBDA_INLINE { return load<V>((const A*)a.grad + i * a.kernels + first, "
        "Extent{kLanes}); };",
        "tests/guard_pages/test_guard_pages.py -k 'test_cpu_kernels and avx2'",
    ),
    Fault(
        f"{_OPS}/minibatch_discrimination/cpu_kernel.h",
        "set_lanes(lanes_at<V>(of_column) + slope, of_column);",
        "set_lanes(lanes_at<V>(of_column) - slope, of_column);",
        "tests/contract/test_gradients.py -k 'first_order and minibatch and cpu'",
    ),
    Fault(
        f"{_OPS}/batch_norm_act/cpu_kernel.h",
        "const DoubleLanes wide = keep(to_doubles(g), extent);",
        "const DoubleLanes wide = to_doubles(g);",
        "tests/ops/batch_norm_act tests/properties/test_convolutions.py",
    ),
    Fault(
        f"{_OPS}/few_channels/cpu_kernel.h",
        "    for (int64_t i = 0; i < s.a * columns; ++i) sums[i] += (double)block[i];",
        "    for (int64_t i = 0; i < s.a * columns; ++i) sums[i] = (double)block[i];",
        "tests/ops/few_channels",
    ),
    Fault(
        f"{_OPS}/convolution/weight_gradient.h",
        "if (transformed != kY * 4 + kX) transform_tiles<kY, kX>(first, count);",
        "if (transformed == 0) transform_tiles<kY, kX>(first, count);",
        "tests/contract/test_gradients.py -k 'first_order and conv2d and winograd and cpu'",
    ),
    Fault(
        f"{_OPS}/convolution/weight_gradient.h", "        if (first)\n", "        if (false)\n", "tests/ops/convolution"
    ),
    Fault(
        f"{_OPS}/negative_elbo/negative_elbo.cpp",
        "pixel_arguments.grad_scale = incoming * -per_example / static_cast<double>(samples);",
        "pixel_arguments.grad_scale = incoming * -per_example;",
        "tests/contract/test_truth.py -k 'small and negative_elbo and cpu'",
    ),
)
